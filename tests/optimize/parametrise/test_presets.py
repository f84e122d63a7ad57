"""Presets 5 and 6 as whole ascents on a tiny net, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from optimize import FindParams, GradientOptimizer, OptimizeError
from optimize.ascent.iterations import Ascent
from optimize.parametrise.registry import PARAMETRISATIONS
from optimize.params import ALL_PRESETS, PRESETS
from optimize.regularise.registry import REGULARISERS
from optimize.regularise.regularisers import Regulariser
from tests.optimize.conftest import BRANCHES, build

MEAN = (104.0, 117.0, 123.0)
KINDS = [name for name, kind in PARAMETRISATIONS.items() if not kind.holds_pixels]


@pytest.mark.parametrize("preset", [5, 6])
@pytest.mark.parametrize(("layer", "channel"), [("conv2", 3), ("fc", 6), ("conv1", 2)])
def test_the_objective_grows_and_the_picture_has_contrast(chain, preset, layer, channel):
    p = FindParams.preset(preset, push_layer=layer, push_channel=channel, max_iter=60)
    found = GradientOptimizer(chain, MEAN).run_optimize(p)
    assert np.mean(found.obj[-10:]) > np.mean(found.obj[:10]) + 0.1
    assert found.contrast > 15
    assert found.norm[0] > 0


@pytest.mark.parametrize("preset", [5, 6])
def test_a_members_image_is_its_own_in_any_batch(chain, preset):
    many = [
        FindParams.preset(preset, push_layer="conv2", push_channel=k, rand_seed=k, max_iter=8)
        for k in range(4)
    ]
    optimizer = GradientOptimizer(chain, MEAN)
    together, alone = optimizer.run_batch(many), optimizer.run_batch([many[2]])[0]
    np.testing.assert_allclose(together[2].last, alone.last, atol=0.5)
    np.testing.assert_allclose(together[2].obj, alone.obj, rtol=1e-3)


def test_parametrisations_share_a_call_but_no_batch(chain):
    many = [FindParams.preset(n, push_layer="fc", max_iter=4, lr_policy="rms" if n < 5 else
                              "constant") for n in (3, 5, 6)]  # fmt: skip
    optimizer = GradientOptimizer(chain, MEAN)
    for found, p in zip(optimizer.run_batch(many), many, strict=True):
        alone = optimizer.run_optimize(p)
        np.testing.assert_allclose(found.obj, alone.obj, rtol=1e-3)


@pytest.mark.parametrize("name", KINDS)
def test_it_starts_from_a_given_image(chain, name):
    start = gaussian_filter(np.random.default_rng(0).normal(0, 150, (3, 40, 40)), (0, 2, 2))
    p = FindParams(push_layer="fc", parametrisation=name, max_iter=1)
    given, other = GradientOptimizer(chain, MEAN).run_batch([p, p], [start, None])
    near = np.corrcoef(given.last.ravel(), start.ravel())[0, 1]
    far = np.corrcoef(other.last.ravel(), start.ravel())[0, 1]
    assert near > max(0.25, 2 * abs(far))
    if name == "fourier":
        np.testing.assert_allclose(given.last, start, atol=1)


@pytest.mark.parametrize("channels", [1, 4])
def test_inputs_of_other_than_three_channels(tmp_path, channels):
    text = BRANCHES.replace("dim: 3", f"dim: {channels}")
    optimizer = GradientOptimizer(build(text, tmp_path), 110.0)
    for preset in (5, 6):
        p = FindParams.preset(preset, push_layer="conv3", push_channel=2, max_iter=12)
        found = optimizer.run_optimize(p)
        assert found.best_xx.shape == (channels, 48, 48)
        assert max(found.obj) > found.obj[0]


def test_a_net_with_scaled_input_gets_the_same_picture(chain):
    optimizer = GradientOptimizer(chain, MEAN)
    p = FindParams.preset(5, push_layer="conv2", push_channel=3, max_iter=10, noise=4)
    plain = optimizer.run_optimize(p)
    chain.params["conv1"][0].data[...] *= 255
    scaled = GradientOptimizer(chain, np.array(MEAN), raw_scale=255.0, input_scale=1 / 255)
    found = scaled.run_optimize(p)
    np.testing.assert_allclose(found.last * 255, plain.last, atol=0.5)
    assert found.contrast == pytest.approx(plain.contrast, rel=0.02)


REFUSED = [
    ({"decay": 0.1}, "Decay"), ({"blur_radius": 1, "blur_every": 4}, "Blur"),
    ({"tv": 1}, "TotalVariation"), ({"small_val_percentile": 5}, "SmallValues"),
    ({"px_abs_benefit_percentile": 5}, "AbsoluteBenefits"), ({"lr_policy": "rms"}, "adam_rate"),
    ({"lr_params": {"lr": 3}}, "adam_rate"), ({"start_at": "randu"}, "start_at"),
]  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("values", "word"), REFUSED)
def test_what_is_for_pixels_is_refused_elsewhere(chain, name, values, word):
    optimizer = GradientOptimizer(chain, MEAN)
    with pytest.raises(OptimizeError, match=word) as error:
        optimizer.check(FindParams(push_layer="fc", parametrisation=name, **values))
    assert "\n" not in str(error.value)
    optimizer.check(FindParams(push_layer="fc", **values))


def test_what_moves_the_image_goes_with_every_parametrisation(chain):
    moving = [r for r in REGULARISERS if r.before is not Regulariser.before]
    values = {"jitter": 3, "rotate": 4, "scale": 0.1, "crop": 0.2, "noise": 5}
    assert all(r.is_on(FindParams(**values)) for r in moving)
    for name in PARAMETRISATIONS:
        p = FindParams(push_layer="fc", parametrisation=name, max_iter=3, **values)
        assert len(GradientOptimizer(chain, MEAN).run_optimize(p).obj) == 3


def test_an_unknown_parametrisation_is_refused(chain):
    with pytest.raises(OptimizeError, match="pixels, fourier, maco"):
        GradientOptimizer(chain, MEAN).check(FindParams(parametrisation="wavelets"))


def test_the_papers_presets_are_among_all():
    assert [ALL_PRESETS[n] for n in PRESETS] == list(PRESETS.values())
    assert list(ALL_PRESETS) == [1, 2, 3, 4, 5, 6]
    for number in PRESETS:
        assert FindParams.preset(number).parametrisation == "pixels"


@pytest.mark.parametrize("preset", [3, 5, 6])
def test_an_ascent_can_be_looked_at_after_each_iteration(chain, monkeypatch, preset):
    seen = []
    moments = Ascent.moments

    def watched(self):
        for moment in moments(self):
            seen.append((moment.iteration, moment.images.clone(), moment.obj.clone()))
            yield moment

    monkeypatch.setattr(Ascent, "moments", watched)
    p = FindParams.preset(preset, push_layer="fc", push_channel=1, max_iter=5, lr_policy="constant",
                          lr_params=None)  # fmt: skip
    found = GradientOptimizer(chain, MEAN).run_optimize(p)
    assert [i for i, _, _ in seen] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([float(obj[0]) for _, _, obj in seen], found.obj)
    np.testing.assert_array_equal(seen[-1][1][0].numpy(), found.last_xx)


def test_the_last_images_are_shown_as_they_are_and_the_best_is_among_them(chain):
    p = FindParams.preset(5, push_layer="fc", push_channel=2, max_iter=40)
    found = GradientOptimizer(chain, MEAN).run_optimize(p)
    assert found.best_ii >= 38
    plain = FindParams(push_layer="fc", push_channel=2, parametrisation="fourier", max_iter=1)
    optimizer = GradientOptimizer(chain, MEAN)
    again = optimizer.run_batch([plain], [found.best_xx])[0]
    assert again.obj[0] == pytest.approx(found.best_obj, rel=0.02)
    moved = p.replaced(parametrisation="pixels", adam_rate=0.05)
    assert optimizer.run_optimize(moved).best_ii == int(np.argmax(
        optimizer.run_optimize(moved).obj))  # fmt: skip


@pytest.mark.parametrize(("layer", "cropped"), [("fc", True), ("conv2", False)])
def test_only_units_without_a_place_are_cropped(chain, layer, cropped):
    p = FindParams(
        push_layer=layer, push_channel=2, parametrisation="fourier", max_iter=6, scale=0.1
    )
    runs = [p, p.replaced(crop=0.5)]
    plain, other = GradientOptimizer(chain, MEAN).run_batch(runs)
    assert np.allclose(plain.obj, other.obj, rtol=1e-3) != cropped


def test_a_gpu_is_asked_only_now_and_then_whether_any_member_is_alive(chain, monkeypatch):
    seen = []
    p = FindParams(push_layer="conv2", parametrisation="fourier", max_iter=40)
    optimizer = GradientOptimizer(chain, MEAN)
    ascent = optimizer._prepared([optimizer._planner.task(p)], [None])
    ascent._look_every = 16
    for moment in ascent.moments():
        seen.append(moment.iteration)
        if moment.iteration == 3:
            ascent._alive[:] = False
    assert seen == list(range(17))
