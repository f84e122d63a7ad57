"""Objectives: their values, their gradients, their text form; and what the net must not have."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from optimize import FindParams, GradientOptimizer, OptimizeError
from optimize.ascent.batch_objectives import UnitPush
from optimize.ascent.objectives import (
    ChannelMean,
    DeepDream,
    Direction,
    Diversity,
    Look,
    Product,
    Unit,
    gradients,
    parse,
)

MEAN = (104.0, 117.0, 123.0)
LOOK = Look({"a": (1, 2), "b": (0, 0)})


def values() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    return {"a": torch.from_numpy(rng.standard_normal((2, 4, 3, 5))),
            "b": torch.from_numpy(rng.standard_normal((2, 6)))}  # fmt: skip


def test_values():
    v, d = values(), (1.0, -2.0, 0.5, 3.0)
    a, b = v["a"].numpy(), v["b"].numpy()
    cases = [
        (Unit("a", 3), a[:, 3, 1, 2]),
        (Unit("a", 3, (0, 4)), a[:, 3, 0, 4]),
        (Unit("b", 5, (0, 0)), b[:, 5]),
        (Direction("a", d), a[:, :, 1, 2] @ np.array(d)),
        (ChannelMean("a", 2), a[:, 2].mean((1, 2))),
        (DeepDream("a"), 0.5 * (a**2).sum((1, 2, 3))),
        (2 * Unit("a", 0) - 1,
         2 * a[:, 0, 1, 2] - 1),
        (Unit("a", 0) * ChannelMean("a", 1) + 3, a[:, 0, 1, 2] * a[:, 1].mean((1, 2)) + 3),
        (1 - Unit("a", 0), 1 - a[:, 0, 1, 2]),
    ]  # fmt: skip
    for objective, wanted in cases:
        found, diffs = gradients(objective, {n: v[n] for n in objective.layers()}, LOOK)
        np.testing.assert_allclose(found, wanted)
        assert all(diffs[n].shape == v[n].shape for n in diffs)


def test_gradients_add_up():
    v = values()
    objective = Product((Unit("a", 0), Unit("b", 1, (0, 0)))) + 0.5 * DeepDream("a")
    _, diffs = gradients(objective, v, LOOK)
    wanted = 0.5 * v["a"].clone()
    wanted[:, 0, 1, 2] += v["b"][:, 1]
    torch.testing.assert_close(diffs["a"], wanted)
    assert diffs["b"][0, 1] == v["a"][0, 0, 1, 2]
    assert torch.count_nonzero(diffs["b"]) == 2


def test_diversity_is_minus_the_mean_cosine_of_gram_matrices():
    maps = np.random.default_rng(4).standard_normal((3, 4, 2, 5))
    grams = [np.einsum("ap,bp->ab", m, m).ravel() for m in maps.reshape(3, 4, 10)]
    wanted = [
        -np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in grams if b is not a])
        for a in grams
    ]
    found, diffs = gradients(Diversity("a"), {"a": torch.from_numpy(maps)}, LOOK)
    np.testing.assert_allclose(found, wanted)
    assert diffs["a"].abs().sum() > 0
    alone, _ = gradients(Diversity("a"), {"a": torch.from_numpy(maps[:1])}, LOOK)
    assert alone.tolist() == [0]


def test_diversity_makes_seeds_differ(chain):
    optimizer = GradientOptimizer(chain, MEAN)
    grams = []
    for text in ("fc:3", "fc:3 + 30 * diversity(conv2)"):
        runs = [FindParams.preset(5, objective=text, rand_seed=k, max_iter=40, jitter=0)
                for k in range(4)]  # fmt: skip
        images = [found.last for found in optimizer.run_batch(runs)]
        maps = []
        for image in images:
            chain.blobs["data"].data[...] = image
            chain.forward()
            maps.append(chain.blobs["conv2"].data[0].reshape(12, -1).copy())
        rows = np.stack([(m @ m.T).ravel() / np.linalg.norm(m @ m.T) for m in maps])
        grams.append((rows @ rows.T).sum())
    assert grams[1] < grams[0] - 0.1


def test_text():
    assert parse("fc8:3") == Unit("fc8", 3)
    assert parse("b/3x3:12@4,5") == Unit("b/3x3", 12, (4, 5))
    assert parse("fc8:3 - 0.5 * fc8:7") == Unit("fc8", 3) - 0.5 * Unit("fc8", 7)
    assert parse("fc8:3 + 2 * diversity(a/b)") == Unit("fc8", 3) + 2.0 * Diversity("a/b")
    assert parse("mean(conv4:1) + 2*dream(a-b)") == ChannelMean("conv4", 1) + 2.0 * DeepDream("a-b")


@pytest.mark.parametrize(
    "text", ["", "fc8", "fc8:x", "mean(fc8)", "fc8:1 +", "__import__('os'):1 * 3", "2 ** fc8:1"]
)
def test_text_that_is_none(text):
    with pytest.raises(OptimizeError, match="objective"):
        parse(text)


def test_a_difference_of_two_layers_grows_and_leaves_the_net_as_one_unit_would(chain):
    optimizer = GradientOptimizer(chain, MEAN)
    base = FindParams(max_iter=15, lr_params={"lr": 100.0})
    many = ["fc:3 - 0.5 * conv2:2@4,4", "mean(conv2:6)", "dream(conv1)", "fc:1 + fc:1"]
    found = optimizer.run_batch([base.replaced(objective=text) for text in many])
    assert all(r.obj[-1] > r.obj[0] for r in found)
    single = optimizer.run_batch([base.replaced(objective=t) for t in ("fc:3", "conv2:6")])
    unit = optimizer.run_optimize(base.replaced(push_layer="fc", push_channel=3))
    np.testing.assert_allclose(single[0].obj, unit.obj, rtol=1e-4)
    assert single[1].field.height < 40, "one unit is computed on its field also by an expression"


def test_the_gradient_of_two_layers_is_the_sum_of_both(chain):
    """Pushed at once, an inner layer gets its own diff beside what comes from above."""
    optimizer = GradientOptimizer(chain, MEAN)
    base = FindParams(max_iter=2, lr_params={"lr": 10.0}, start_at="mean")
    many = ["fc:3", "mean(conv1:2)", "fc:3 + mean(conv1:2)"]
    runs = [base.replaced(objective=text) for text in many]
    a, b, both = (r.last_xx - optimizer.run_optimize(p.replaced(max_iter=1)).last_xx
                  for r, p in zip(optimizer.run_batch(runs), runs, strict=True))  # fmt: skip
    np.testing.assert_allclose(both, a + b, atol=1e-5 * np.abs(both).max())
    assert np.abs(a).max() > 0 < np.abs(b).max()


BAD = [
    (FindParams(push_layer="conv9"), "no layer 'conv9'"),
    (FindParams(push_layer="data"), "no layer 'data'"),
    (FindParams(push_layer="conv2", push_channel=12), "0 to 11"),
    (FindParams(push_layer="conv2", push_spatial=(9, 3)), "rows 0 to 8"),
    (FindParams(push_layer="fc", push_spatial=(1, 0)), "rows 0 to 0"),
    (FindParams(objective="fc:3 + conv2:1@9,9"), "no position"),
    (FindParams(objective="mean(conv2:99)"), "no channel"),
]


@pytest.mark.parametrize(("params", "word"), BAD)
def test_what_the_net_does_not_have(chain, params, word):
    with pytest.raises(OptimizeError, match=word) as error:
        GradientOptimizer(chain, MEAN).run_optimize(params)
    assert "\n" not in str(error.value)


def test_weights_that_are_no_numbers(chain):
    chain.params["conv2"][0].data[3, 1, 0, 0] = np.nan
    optimizer = GradientOptimizer(chain, MEAN)
    with pytest.raises(OptimizeError, match="conv2.*NaN"):
        optimizer.run_optimize(FindParams(push_layer="fc"))
    optimizer.run_optimize(FindParams(push_layer="conv1", max_iter=2))


@pytest.mark.parametrize("mean", [(1, 2), np.zeros((3, 20, 20)), np.full(3, np.nan)])
def test_a_mean_that_does_not_fit(chain, mean):
    with pytest.raises(OptimizeError, match="mean has the shape"):
        GradientOptimizer(chain, mean)


def test_a_mean_image_is_cropped_to_the_centre(chain):
    mean = np.arange(3 * 44 * 42, dtype=float).reshape(3, 44, 42)
    found = GradientOptimizer(chain, mean).mean
    np.testing.assert_array_equal(found, mean[:, 2:42, 1:41])


def test_a_rival_is_held_back_only_where_it_is_nearly_as_strong():
    view = SimpleNamespace(row=0, column=0, cropped=False)
    values = torch.tensor([[5.0, 1.0, 4.9], [5, 1, 1], [1, 2, 3], [-1, 3, 2], [2, 3, 0]])
    dirs, rivals = torch.tensor([1.0, 1, 2, 1, -1]), torch.tensor([0.5, 0.5, 0.5, 0.5, 0.5])
    push = UnitPush(view, "fc", dirs, torch.zeros(5, dtype=torch.long), rivals)
    for _ in range(2):  # what is kept from the last time is not changed
        diff = push({"fc": values}, slice(0, 5)).diffs["fc"]
        wanted = [[1, 0, -0.5], [1, 0, 0], [2, 0, -1], [1, 0, 0], [-1, 0, 0]]
        torch.testing.assert_close(diff, torch.tensor(wanted))
    only = UnitPush(view, "fc", dirs[:1], torch.zeros(1, dtype=torch.long), rivals[:1])
    one = only({"fc": torch.tensor([[3.0]])}, slice(0, 1)).diffs["fc"]
    torch.testing.assert_close(one, torch.tensor([[1.0]]))
