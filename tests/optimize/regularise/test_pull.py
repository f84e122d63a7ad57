"""Accentuation: the pull towards the picture that an image starts from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optimize import FindParams, GradientOptimizer
from optimize.errors import OptimizeError
from optimize.regularise.regularisers import Place, Pull
from tests.optimize.conftest import CHAIN, MEAN, build

PLACE = Place(6, 5, (3.0, 2.5), torch.device("cpu"), 2.0)


def test_what_is_taken_off_is_the_squared_distance_and_the_gradient_is_its_own():
    torch.manual_seed(0)
    members = [FindParams(pull=0.1), FindParams(pull=0.5, push_dir=-2), FindParams()]
    pull = Pull(members, PLACE)
    start, grad = torch.randn(3, 3, 6, 5).double(), torch.randn(3, 3, 6, 5).double()
    taken, same = pull.toll(start, grad)
    assert torch.equal(taken, torch.zeros(3).double())
    assert torch.equal(same, grad)
    x = (start + torch.randn(3, 3, 6, 5)).requires_grad_()
    taken, left = pull.toll(x, torch.zeros_like(grad))
    dirs = torch.tensor([p.push_dir for p in members])
    (derived,) = torch.autograd.grad((taken * dirs).sum(), x)
    assert torch.allclose(left, -derived)
    assert torch.equal(left[2], torch.zeros_like(left[2]))


def test_at_one_by_the_pull_grey_levels_it_is_as_strong_as_the_gradient():
    pull = Pull([FindParams(pull=0.1)], PLACE)
    start, grad = torch.zeros(1, 3, 6, 5), torch.randn(1, 3, 6, 5)
    pull.toll(start, grad)
    away = torch.full_like(start, 10 * PLACE.grey)  # ten grey levels everywhere
    _, left = pull.toll(away, torch.zeros_like(grad))
    assert float(left.norm()) == pytest.approx(float(grad.norm()), rel=1e-5)


@pytest.fixture(scope="module")
def optimizer(tmp_path_factory) -> GradientOptimizer:
    net = build(CHAIN, tmp_path_factory.mktemp("pull"))
    return GradientOptimizer(net, MEAN, channel_swap_to_rgb=(2, 1, 0))


KINDS = {
    "pixels": FindParams(lr_policy="rms", lr_params={"step": 1.0, "late_step": 0.5}),
    "fourier": FindParams.preset(5, crop=0.0, noise=0.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_stronger_the_pull_the_nearer_the_image_stays(optimizer, kind):
    photo = np.random.default_rng(0).uniform(-80, 80, (3, 40, 40)).astype(np.float32)
    away, reached = [], []
    for pull in (0, 0.05, 0.5):
        params = KINDS[kind].replaced(push_layer="fc", push_channel=3, max_iter=30, pull=pull)
        (found,) = optimizer.run_batch([params], [photo])
        away.append(float(np.linalg.norm(found.best - photo)))
        reached.append(found.best_obj - found.obj[0])
    assert away[0] > away[1] > away[2]
    assert reached[0] > reached[1] > reached[2] > 0


# What is asked for -> why it makes no sense.
REFUSED = {
    "no picture": (FindParams(push_layer="fc", pull=0.1), False,
                   "there is none: --start-images PHOTO --facets 1 gives one"),
    "phases": (FindParams.preset(6, push_layer="fc", pull=0.1), True,
               "begins with the phases of one alone"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_where_it_makes_no_sense(optimizer, case):
    params, given, why = REFUSED[case]
    photo = np.zeros((3, 40, 40), np.float32)
    with pytest.raises(OptimizeError, match=why):
        optimizer.run_batch([params], [photo if given else None])
