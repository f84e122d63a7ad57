"""Settings: what is accepted, what is refused, and the way through JSON."""

from __future__ import annotations

import numpy as np
import pytest

from optimize import POLICIES, PRESETS, FindParams, OptimizeError, ParamsError, facets
from optimize.ascent.starts import start


def test_settings_go_through_json_and_back():
    p = FindParams.preset(
        1, push_layer="conv2", push_spatial=[3, 4], lr_policy="progress",
        lr_params={"max_lr": 1e7, "desired_prog": 2}, rand_seed=2**32 - 1, objective="fc8:3",
    )  # fmt: skip
    assert FindParams.from_json(p.to_json()) == p
    assert p.push_spatial == (3, 4)


def test_presets_are_the_papers_table():
    rows = {n: FindParams.preset(n) for n in PRESETS}
    names = (
        "decay", "blur_radius", "blur_every", "small_norm_percentile", "px_abs_benefit_percentile",
    )  # fmt: skip
    table = {n: tuple(getattr(row, name) for name in names) for n, row in rows.items()}
    assert table == {
        1: (0, 0.5, 4, 50, 0),
        2: (0.3, 0, 0, 20, 0),
        3: (0.0001, 1.0, 4, 0, 0),
        4: (0, 0.5, 4, 0, 90),
    }


WRONG = [
    ({"decay": -0.1}, "decay"), ({"decay": float("nan")}, "decay"), ({"blur_radius": "x"}, "blur"),
    ({"small_val_percentile": 100.5}, "0 to 100"), ({"px_benefit_percentile": -1}, "0 to 100"),
    ({"max_iter": 0}, "max_iter"), ({"max_iter": 2.5}, "whole"), ({"rand_seed": -1}, "rand_seed"),
    ({"push_dir": 0}, "push_dir"), ({"push_spatial": 3}, "push_spatial"),
    ({"push_spatial": (1, -2)}, "column"), ({"start_at": "noise"}, "randu"),
    ({"lr_policy": "adam"}, "constant"), ({"lr_policy": "progress"}, "desired_prog"),
    ({"lr_params": {"lr": float("inf")}}, "finite"), ({"lr_params": {"step": 1}}, "lr"),
    ({"lr_params": {"lr": "1"}, "push_layer": 3}, "push_layer"), ({"speed": 3}, "speed"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "word"), WRONG)
def test_what_is_not_accepted_is_said_in_one_sentence(values, word):
    with pytest.raises(ParamsError, match=word) as error:
        FindParams.from_dict(values)
    assert "\n" not in str(error.value)


def test_none_is_off_as_in_the_original():
    p = FindParams(blur_radius=None, small_val_percentile=None)
    assert (p.blur_radius, p.small_val_percentile, p.blurs) == (0, 0, False)


@pytest.mark.parametrize("text", ["[1]", "{", '{"decay": 2}'])
def test_json_that_is_no_settings_is_refused(text):
    with pytest.raises(ParamsError):
        FindParams.from_json(text)


def test_every_policy_has_help_and_numbers():
    for name, row in POLICIES.items():
        assert row.about
        numbers = dict.fromkeys(row.needs, 1.0)
        assert set(FindParams(lr_policy=name, lr_params=numbers).rates) >= set(row.needs)


def test_starts_are_the_originals_draws():
    mean = np.full((3, 4, 5), 100.0)
    rng = np.random.RandomState(3)
    np.testing.assert_array_equal(start("mean_plus_rand", 3, mean), rng.normal(0, 10, mean.shape))
    rng = np.random.RandomState(3)
    uniform = rng.uniform(0, 255, mean.shape) - mean
    np.testing.assert_array_equal(start("randu", 3, mean), uniform)
    assert not start("mean", 3, mean).any()


def test_facets_are_the_means_of_groups():
    rng = np.random.default_rng(0)
    dark, light = -60 + rng.normal(0, 3, (6, 3, 16, 16)), 60 + rng.normal(0, 3, (4, 3, 16, 16))
    found = facets([*dark, *light], 2)
    assert len(found) == 2
    np.testing.assert_allclose(found[0], dark.mean(0))
    np.testing.assert_allclose(found[1], light.mean(0))
    again = facets([*dark, *light], 2, features=np.repeat([[0.0], [9.0]], (6, 4), axis=0))
    np.testing.assert_allclose(again[0], dark.mean(0))
    with pytest.raises(OptimizeError, match="facets"):
        facets(list(dark), 7)
