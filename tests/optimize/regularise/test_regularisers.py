"""Each regulariser against NumPy and SciPy, members with settings of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.optimize import approx_fprime

from optimize import REGULARISERS, FindParams
from optimize.regularise.regularisers import Place, blur_matrix, percentile, variation_step
from optimize.regularise.transforms import Crop, Jitter, Noise, Rotate, Scale, together
from tests.optimize import replica

Replica = Callable[[np.ndarray, np.ndarray, FindParams], np.ndarray]
REPLICAS: dict[str, Replica] = {
    "decay": lambda x, g, p: replica.decayed(x, p),
    "blur": lambda x, g, p: replica.blurred(x, p, 0),
    "small_val": lambda x, g, p: replica.small_values(x, p),
    "small_norm": lambda x, g, p: replica.small_norms(x, p),
    "benefit": lambda x, g, p: replica.benefits(x, g, p),
    "abs_benefit": lambda x, g, p: replica.absolute_benefits(x, g, p),
}
SETTINGS: dict[str, list[dict[str, float]]] = {
    "decay": [{"decay": 0.3}, {}, {"decay": 1e-4}],
    "blur": [{"blur_radius": 1.0, "blur_every": 1}, {}, {"blur_radius": 2.7, "blur_every": 1}],
    "small_val": [{"small_val_percentile": q} for q in (33.3, 0, 90)],
    "small_norm": [{"small_norm_percentile": q} for q in (50, 99, 0.5)],
    "benefit": [{"px_benefit_percentile": q} for q in (10, 0, 77.7)],
    "abs_benefit": [{"px_abs_benefit_percentile": q} for q in (90, 100, 20)],
}


def batch(height: int = 19, width: int = 23) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((3, 3, height, width)).astype(np.float32)
    return x, rng.standard_normal(x.shape).astype(np.float32)


def apply(
    members: list[FindParams], x: np.ndarray, g: np.ndarray, iteration: int = 0
) -> np.ndarray:
    place = Place(x.shape[2], x.shape[3], (x.shape[2] / 2, x.shape[3] / 2), torch.device("cpu"))
    out = torch.from_numpy(x.copy())
    for regulariser in REGULARISERS:
        if any(regulariser.is_on(p) for p in members):
            out = regulariser(members, place).after(out, torch.from_numpy(g), iteration)
    return out.numpy()


@pytest.mark.parametrize("name", SETTINGS)
def test_each_as_numpy_and_scipy_have_it(name):
    x, g = batch()
    members = [FindParams(**values) for values in SETTINGS[name]]
    found = apply(members, x, g)
    for i, p in enumerate(members):
        wanted = REPLICAS[name](x[i].astype(np.float64), g[i].astype(np.float64), p)
        np.testing.assert_allclose(found[i], wanted, atol=1e-5)
    assert not np.array_equal(found, x)
    alike = apply([members[0]] * 3, x, g)
    np.testing.assert_allclose(alike[0], found[0], atol=1e-6)


def test_all_in_the_original_order():
    x, g = batch()
    p = FindParams(**{k: v for values in SETTINGS.values() for k, v in values[0].items()})
    found = apply([p] * 3, x, g)
    for i in range(3):
        wanted = x[i].astype(np.float64)
        for step in REPLICAS.values():
            wanted = step(wanted, g[i].astype(np.float64), p)
        np.testing.assert_allclose(found[i], wanted, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 5, 11, 40])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_the_blur_reflects_at_the_border_also_of_tiny_images(size, sigma):
    rows = np.random.default_rng(0).standard_normal((size, 3))
    wanted = gaussian_filter(rows, (sigma, 0))
    np.testing.assert_allclose(blur_matrix(size, sigma).numpy() @ rows, wanted, atol=1e-12)


def test_the_blur_comes_every_so_many_iterations():
    x, g = batch()
    members = [FindParams(blur_radius=1, blur_every=k) for k in (2, 3, 1)]
    found = apply(members, x, g, iteration=4)
    assert [not np.array_equal(found[i], x[i]) for i in range(3)] == [True, False, True]


@pytest.mark.parametrize("share", [0.1, 25, 50, 61.8, 99.9, 100])
def test_percentiles_are_numpys(share):
    values = np.random.default_rng(1).standard_normal((4, 101))
    found = percentile(torch.from_numpy(values), share)[:, 0]
    np.testing.assert_allclose(found, np.percentile(values, share, axis=1), atol=1e-12)


def test_total_variation_steps_down_its_gradient():
    x = np.random.default_rng(2).standard_normal((5, 4))

    def variation(flat: np.ndarray) -> float:
        image = flat.reshape(x.shape)
        down, right = np.zeros_like(image), np.zeros_like(image)
        down[:-1], right[:, :-1] = np.diff(image, axis=0), np.diff(image, axis=1)
        return float(np.sqrt(down**2 + right**2 + 0.25).sum())

    wanted = -approx_fprime(x.ravel(), variation, 1e-7).reshape(x.shape)
    found = variation_step(torch.from_numpy(x)[None, None], 0.5)[0, 0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", [Jitter, Rotate, Scale, Crop, Noise])
def test_transforms_change_what_is_shown_by_the_seed_and_can_be_gone_back_through(kind):
    members = [
        FindParams(jitter=3, rotate=20, scale=0.3, crop=0.5, noise=9, rand_seed=s)
        for s in (0, 1, 0)
    ]
    place = Place(16, 16, (7.5, 7.5), torch.device("cpu"), side=16)
    x = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    x[2] = x[0]
    x.requires_grad_()
    shown = kind(members, place).before(x, 5)
    torch.testing.assert_close(shown[0], shown[2])
    assert not torch.allclose(shown[0], x[0])
    alone = kind(members[1:2], place).before(x[1:2], 5)
    torch.testing.assert_close(shown[1:2], alone)
    (grad,) = torch.autograd.grad(shown.sum(), x)
    assert grad.shape == x.shape
    assert float(grad.sum()) == pytest.approx(shown.numel(), rel=1e-3)


def test_a_quarter_turn_and_a_half_scale():
    place = Place(9, 9, (4.0, 4.0), torch.device("cpu"))
    turn = Rotate([FindParams(rotate=90)], place)
    turn._draws = [np.ones((1, 1))]
    x = torch.rand(1, 1, 9, 9)
    shown = turn.before(x, 0)
    torch.testing.assert_close(shown, torch.rot90(x, 1, (2, 3)), atol=1e-4, rtol=0)
    smaller = Scale([FindParams(scale=0.5)], place)
    smaller._draws = [-np.ones((1, 1))]
    shown = smaller.before(x, 0)
    torch.testing.assert_close(shown[..., 2:7, 2:7], x[..., ::2, ::2], atol=1e-4, rtol=0)


def test_jitter_shifts_by_whole_pixels():
    jitter = Jitter([FindParams(jitter=4)], Place(6, 7, (3, 3), torch.device("cpu")))
    jitter._draws = [np.array([[0.5, -0.25]])]
    x = torch.rand(1, 2, 6, 7)
    torch.testing.assert_close(jitter.before(x, 0), torch.roll(x, (-2, 1), (2, 3)))


def test_a_crop_enlarges_a_part_of_what_the_unit_sees():
    crop = Crop([FindParams(crop=0.5)], Place(9, 9, (4.0, 4.0), torch.device("cpu"), side=9))
    crop._draws = [np.array([[1.0, -8 / 9, 0.0]])]  # half as large, 2 columns left of the centre
    x = torch.rand(1, 1, 9, 9)
    shown = crop.before(x, 0)
    torch.testing.assert_close(shown[..., ::2, ::2], x[..., 2:7, 0:5], atol=1e-4, rtol=0)
    draws = crop._draws
    crop._draws = [np.array([[-1.0, 1.0, 1.0]])]
    torch.testing.assert_close(crop.before(x, 0), x, atol=1e-5, rtol=0)
    # one unit of several of its channel, each at a place of the image
    place = Place(9, 9, (4.0, 4.0), torch.device("cpu"), side=9, placed=True)
    crop = Crop([FindParams(crop=0.5)], place)
    crop._draws = draws
    torch.testing.assert_close(crop.before(x, 0), x, atol=1e-5, rtol=0)


def test_noise_has_so_many_grey_levels_and_is_new_in_each_iteration():
    members = [FindParams(noise=8), FindParams(noise=0), FindParams(noise=2, rand_seed=4)]
    noise = Noise(members, Place(40, 40, (20, 20), torch.device("cpu"), grey=0.5))
    added = [noise.before(torch.zeros(3, 3, 40, 40), i).numpy() for i in (0, 1)]
    assert added[0][0].std() == pytest.approx(4, rel=0.05)
    assert added[0][1].any() == 0
    assert added[0][2].std() == pytest.approx(1, rel=0.05)
    assert abs(np.corrcoef(added[0][0].ravel(), added[1][0].ravel())[0, 1]) < 0.1


def test_turning_scaling_and_cropping_together_is_one_after_the_other():
    members = [FindParams(rotate=30, scale=0.2, crop=0.3, jitter=2, rand_seed=k) for k in range(2)]
    place = Place(48, 48, (23.5, 23.5), torch.device("cpu"), side=48)
    rows = torch.linspace(-2, 2, 48)
    x = torch.sin(rows)[:, None] * torch.cos(1.3 * rows) + rows  # smooth: resampling loses little
    x = x.expand(2, 1, 48, 48).contiguous()
    apart = [kind(members, place) for kind in (Jitter, Rotate, Scale, Crop)]
    joined = together(apart)
    assert len(joined) == 1
    one, other = x, x
    for regulariser in apart:
        one = regulariser.before(one, 0)
    for regulariser in joined:
        other = regulariser.before(other, 0)
    torch.testing.assert_close(one[..., 14:34, 14:34], other[..., 14:34, 14:34], atol=0.02, rtol=0)
    assert not torch.allclose(one, x, atol=0.1)


def test_only_what_is_shown_is_resampled():
    members = [FindParams(rotate=30, scale=0.2, jitter=2, noise=0.1, rand_seed=k) for k in range(2)]
    x = torch.rand(2, 3, 20, 22)
    whole, part = (
        [
            kind(members, Place(20, 22, (9.5, 10.5), torch.device("cpu"), shown=shown))
            for kind in (Jitter, Rotate, Scale)
        ]
        for shown in (None, (4, 3, 9, 11))
    )
    (all_of_it,), (some,) = together(whole), together(part)
    torch.testing.assert_close(some.before(x, 1), all_of_it.before(x, 1)[..., 4:13, 3:14])
    noise = Noise(members, Place(20, 22, (9.5, 10.5), torch.device("cpu")))
    assert together([*part, noise])[0].before(x, 0).shape == (2, 3, 9, 11)

    class OfItsNeighbours(Noise):
        pointwise = False

    later = OfItsNeighbours(members, noise.place)
    assert together([*part, later])[0].before(x, 0).shape == x.shape
    assert together([part[0]]) == [part[0]]


@pytest.mark.parametrize(("angle", "sides"), [(8, (100, 100)), (60, (30, 50)), (90, (20, 80))])
def test_a_turn_reaches_as_far_as_the_corners_swing(angle, sides):
    turns = np.deg2rad(np.linspace(0, angle, 400))
    height, width = sides
    across = np.abs(width * np.cos(turns)) + height * np.sin(turns) - width
    down = np.abs(height * np.cos(turns)) + width * np.sin(turns) - height
    wanted = 0.5 * max(across.max(), down.max())
    assert 0.99 <= Rotate.reach(FindParams(rotate=angle), sides) - wanted < 2.01


def test_a_small_unit_is_not_shifted_away_from_its_edge():
    far = FindParams(jitter=8, parametrisation="fourier")
    place = Place(40, 40, (20, 20), torch.device("cpu"), side=33)
    jitter = Jitter([far, far.replaced(parametrisation="pixels")], place)
    assert jitter.extent.ravel().tolist() == [2, 8]
    assert Jitter.reach(far, (33, 33)) == 2
    assert Jitter.reach(far.replaced(parametrisation="pixels"), (33, 33)) == 8
