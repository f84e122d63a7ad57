"""Images from Fourier coefficients against a plain DFT, and photos' statistics by NumPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from optimize.errors import OptimizeError
from optimize.parametrise import photo_statistics
from optimize.parametrise.base import Canvas, Uphill, parts
from optimize.parametrise.fourier import Fourier, colour_gains, scales
from optimize.parametrise.maco import Maco, whole_phases
from optimize.parametrise.photo_statistics import colour_matrix, log_odds, measure
from optimize.parametrise.series import Series, fast_size, frequencies
from optimize.params import FindParams

SIZES = [(8, 8), (7, 9), (6, 11), (9, 4), (5, 1)]
MEAN = (104.0, 117.0, 123.0)


def canvas(height: int, width: int, *, members: int = 2, channels: int = 3, given: bool = False):
    rng = np.random.default_rng(5)
    mean = torch.tensor(MEAN[:1] * channels if channels != 3 else MEAN).view(1, channels, 1, 1)
    mean = mean.expand(1, channels, height, width)
    start = torch.from_numpy(rng.uniform(40, 200, (members, channels, height, width))).float()
    return Canvas(
        members=[FindParams(rand_seed=k, adam_rate=0.1) for k in range(members)],
        start=start - mean, given=[given] * members, low=-mean, high=255 - mean, grey=1.0,
        seen=float(start[0].numel()), after=[], photos=photo_statistics.default(),
        rgb=(2, 1, 0) if channels == 3 else range(channels),
    )  # fmt: skip


def plain_dft(coefficients: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sum the cosines one by one: a half spectrum's inverse transform."""
    out = np.zeros((height, width))
    ys, xs = np.mgrid[:height, :width]
    for ky in range(height):
        for kx in range(width // 2 + 1):
            twice = 1 if kx == 0 or 2 * kx == width else 2
            angle = 2 * np.pi * (ky * ys / height + kx * xs / width)
            out += twice * (coefficients[ky, kx] * np.exp(1j * angle)).real
    return out / np.sqrt(height * width)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_series_is_a_plain_dft_mixed_into_colours(height, width):
    rng = np.random.default_rng(0)
    board = canvas(height, width)
    series = Series(board)
    # as large as the image, or as the next size that transforms are fast for
    assert series.size == (fast_size(height), fast_size(width))
    shape = (2, 3, series.size[0], series.size[1] // 2 + 1)
    numbers = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    found = series.image(torch.from_numpy(numbers).to(torch.complex64)).numpy()
    assert found.shape == (2, 3, height, width)
    colour = np.array(board.photos.colour)
    for n in range(2):
        plain = np.stack([plain_dft(numbers[n, c], *series.size) for c in range(3)])
        plain = plain[:, :height, :width]
        rgb = np.einsum("ck,kyx->cyx", colour, plain)
        wanted = 255 / (1 + np.exp(-rgb))
        bgr = wanted[::-1] - np.array(MEAN)[:, None, None]
        np.testing.assert_allclose(found[n], bgr, atol=2e-3)


def test_frequencies_and_scales_fall_as_they_should():
    away = frequencies(6, 8).numpy()
    assert away.shape == (6, 5)
    assert away[0, 0] == 0
    np.testing.assert_allclose(away[2, 3], np.hypot(2 / 6, 3 / 8), rtol=1e-6)
    np.testing.assert_allclose(away[5, 0], 1 / 6, rtol=1e-6)
    found = scales(6, 8).numpy()
    np.testing.assert_allclose(found[2, 3] / found[0, 1], (8 * away[2, 3]) ** -1.2, rtol=1e-5)
    assert found[0, 0] == found.max()


def test_small_images_hold_all_directions_of_colour_alike_and_large_ones_as_photos():
    colour = np.array(photo_statistics.default().colour)
    lengths = np.linalg.norm(colour, axis=0)
    np.testing.assert_allclose(lengths * colour_gains(colour, 15, 15).numpy(), 1, rtol=1e-5)
    middle = lengths * colour_gains(colour, 50, 80).numpy()
    np.testing.assert_allclose(middle, np.maximum(lengths, 0.144), rtol=1e-5)
    np.testing.assert_array_equal(colour_gains(colour, 119, 119), 1)


def test_a_small_image_takes_the_colours_of_its_gradient():
    red = torch.zeros(1, 3, 1, 1)
    red[:, 2] = 1  # the input is BGR
    colourful = []
    for size in (12, 120):
        board = canvas(size, size, members=1)
        held = Fourier(board)
        for i in range(4):
            grad, one = red.expand_as(held.image()), torch.ones(1)
            held.step(Uphill(grad, one, one, one > 0, i, 4))
        blue, green, red_ = (held.image() - board.low).mean((0, 2, 3)) - 127.5
        colourful.append(float((red_ - blue) / (blue + green + red_)))
    assert colourful[0] > 2 * colourful[1]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", [Fourier, Maco])
def test_a_given_start_comes_back(kind, channels):
    board = canvas(8, 10, channels=channels, given=True)
    image = kind(board).image()
    if kind is Fourier:
        np.testing.assert_allclose(image, board.start, atol=0.05)
    else:  # only phases are taken, and they are those of the start
        series = Series(board)
        found, wanted = series.coefficients(image), series.coefficients(board.start)
        turned = (found * wanted.conj())[..., 1:4, 1:4]
        np.testing.assert_allclose(turned.angle().numpy(), 0, atol=0.02)


@pytest.mark.parametrize("kind", [Fourier, Maco])
def test_starts_are_by_the_seed_alone_and_between_black_and_white(kind):
    board = canvas(12, 9, members=3)
    image = kind(board).image()
    alone = kind(canvas(12, 9, members=1)).image()
    np.testing.assert_allclose(image[:1], alone, atol=1e-3)
    assert (image - board.low >= 0).all()
    assert (image - board.high <= 0).all()
    assert not np.allclose(image[0], image[1])


def test_sides_are_even_and_of_small_factors():
    assert [fast_size(n) for n in (1, 2, 11, 16, 17, 163, 193, 224, 227)] == [
        2, 2, 12, 16, 18, 180, 200, 240, 240,
    ]  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (5, 1)])
@pytest.mark.parametrize("kind", [Fourier, Maco])
def test_the_gradient_of_what_is_held_is_the_images_change(kind, height, width, channels):
    held = kind(canvas(height, width, channels=channels))
    value = held._held if kind is Fourier else held._free
    value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    weights = torch.from_numpy(np.random.default_rng(2).normal(size=held.image().shape)).double()
    found = held.gradient(weights.float(), slice(0, 2)).double().clone()
    flat, step = value.view(-1), 1e-2
    for at in np.random.default_rng(3).choice(len(flat), 30):
        before, sums = float(flat[at]), []
        for moved in (before + step, before - step):
            flat[at] = moved
            sums.append(float((held.image().double() * weights).sum()))
        flat[at] = before
        wanted = (sums[0] - sums[1]) / (2 * step)
        assert float(found.view(-1)[at]) == pytest.approx(wanted, rel=0.02, abs=0.3)
    assert float(found.abs().max()) > 10


def test_parts_are_all_members_in_their_order(monkeypatch):
    monkeypatch.setattr("optimize.parametrise.base._CACHED_VALUES", 50)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert parts(torch.zeros(5, 4, 5)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert parts(torch.zeros(2, 100)) == [slice(0, 1), slice(1, 2)]
    assert parts(torch.zeros(5, 4, 5, device="meta")) == [slice(0, 5)]
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)  # a cache each
    assert parts(torch.zeros(5, 4, 5)) == [slice(0, 4), slice(4, 5)]


@pytest.mark.parametrize("kind", [Fourier, Maco])
def test_images_and_steps_are_the_same_part_by_part(kind, monkeypatch):
    images = []
    for values in (10**6, 1):
        monkeypatch.setattr("optimize.parametrise.base._CACHED_VALUES", values)
        held = kind(canvas(9, 10, members=3))
        for step in range(3):
            grad = held.image().clone()
            ones = torch.ones(3)
            held.step(Uphill(grad, ones, ones, ones > 0, step, 3))
        images.append(held.image().clone())
    torch.testing.assert_close(*images)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_macos_spectrum_stays_that_of_photos(height, width):
    board = canvas(fast_size(height), fast_size(width))
    held = Maco(canvas(height, width))
    height, width = fast_size(height), fast_size(width)
    wanted = board.photos.magnitudes(frequencies(height, width), 3).numpy()
    wanted[:, 0, 0] = np.abs(board.photos.means) * np.sqrt(height * width)
    phases = held._free.clone()
    for step in range(4):
        held.image()
        shape = held.image().shape
        grad = torch.from_numpy(np.random.default_rng(step).normal(size=shape)).float()
        ones = torch.ones(2)
        held.step(Uphill(grad, ones, ones, ones > 0, step, 4))
        odds = Series(board).odds(held.coefficients(held._free)).numpy()[:, ::-1]
        plain = np.linalg.solve(np.array(board.photos.colour), odds.reshape(2, 3, -1))
        found = np.abs(np.fft.rfft2(plain.reshape(odds.shape), norm="ortho"))
        np.testing.assert_allclose(found, np.stack([wanted] * 2), rtol=1e-5, atol=1e-5)
    assert not np.allclose(phases, held._free)


@pytest.mark.parametrize("width", [6, 7, 1])
def test_whole_phases_are_odd_where_a_coefficient_is_held_twice(width):
    free = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 2, 5, width // 2 + 1)))
    phases = whole_phases(free, width).numpy()
    for column in {0, width // 2 if width % 2 == 0 else 0}:
        for row in range(5):
            np.testing.assert_allclose(phases[..., row, column], -phases[..., -row % 5, column])
    if width > 2:
        np.testing.assert_array_equal(phases[..., 1], free.numpy()[..., 1])


def test_adam_steps_as_numpy_has_it():
    board = canvas(4, 4, members=1)
    held = Fourier(board)
    value = held._held.numpy().astype(np.float64).copy()
    mean, square = np.zeros_like(value), np.zeros_like(value)
    for step in range(6):
        held.image()
        weights = torch.from_numpy(np.random.default_rng(step).normal(size=(1, 3, 4, 4))).float()
        grad = held.gradient(weights, slice(0, 1)).clone()
        held.step(Uphill(weights, torch.ones(1), torch.ones(1), torch.ones(1) > 0, step, 6))
        slope = grad.numpy().astype(np.float64)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        rate = 0.1 * (1 if step < 3 else 0.3)
        hats = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
        sizes = np.sqrt(hats[1])
        # In an image of 4x4 pixels the root mean square counts (24 / 4)^2 times.
        value += rate * hats[0] / (sizes + 36 * np.sqrt(np.mean(sizes**2)))
        np.testing.assert_allclose(held._held.numpy(), value, atol=1e-6)


def test_a_member_that_has_ended_stays_as_it_is():
    held = Fourier(canvas(6, 6))
    before = held._held.clone()
    held.image()
    grad = torch.ones(2, 3, 6, 6)
    held.step(Uphill(grad, torch.ones(2), torch.ones(2), torch.tensor([True, False]), 0, 2))
    assert not np.allclose(held._held[0], before[0])
    np.testing.assert_array_equal(held._held[1], before[1])


def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    mix = np.array([[30, 12, 4], [30, 2, -9], [30, -14, 3]])
    out = []
    for _ in range(6):
        rough = np.fft.irfft2(
            rng.normal(size=(3, 32, 17)) / np.maximum(frequencies(32, 32).numpy(), 1 / 32), (32, 32)
        )
        rough /= rough.std()
        out.append(np.clip(120 + np.einsum("ck,kyx->yxc", mix, rough), 0, 255).astype(np.uint8))
    return out


def test_decorrelation_is_numpys():
    pixels = np.concatenate([log_odds(photo).reshape(-1, 3) for photo in photos()])
    matrix = colour_matrix(pixels)
    cov = np.cov(pixels.T)
    factor = cov[0, 0] / (matrix @ matrix.T)[0, 0]
    np.testing.assert_allclose(factor * matrix @ matrix.T, cov, rtol=1e-9)
    plain = np.linalg.solve(matrix, pixels.T)
    np.testing.assert_allclose(np.corrcoef(plain), np.eye(3), atol=1e-9)
    assert np.linalg.norm(matrix, axis=0).max() == pytest.approx(1)


def test_the_spectrum_is_the_mean_of_magnitudes_by_frequency(tmp_path):
    seen = photos()
    found = measure(seen)
    plain = [
        np.linalg.solve(np.array(found.colour), log_odds(p).reshape(-1, 3).T).reshape(3, 32, 32)
        for p in seen
    ]
    away = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    edges = np.geomspace(1 / 256, 0.75, 25)
    ring = int(np.searchsorted(found.rings, 0.2))
    low = edges[np.searchsorted(edges, found.rings[ring]) - 1]
    high = edges[np.searchsorted(edges, found.rings[ring])]
    which = (away >= low) & (away < high)
    wanted = np.mean([np.abs(np.fft.fft2(p[1], norm="ortho"))[which].mean() for p in plain])
    assert found.amplitudes[1][ring] == pytest.approx(wanted)
    assert found.means[0] == pytest.approx(np.mean([p[0] for p in plain]))
    file = tmp_path / "photos.json"
    file.write_text(found.to_json())
    again = photo_statistics.read(file)
    np.testing.assert_allclose(again.amplitudes, found.amplitudes, rtol=1e-5)


def change(name: str, value: object) -> str:
    values = json.loads(photo_statistics.DEFAULT.read_text(encoding="utf-8"))
    return json.dumps({**values, name: value})


@pytest.mark.parametrize("text", [
    "", "{", "[]", '{"colour": 3}', change("colour", [[1, 0, 0]] * 3), change("means", [1, 2]),
    change("rings", [1, 2]), change("amplitudes", [[float("nan")] * 24] * 3), change("colour", "x"),
])  # fmt: skip
def test_a_file_that_holds_no_statistics_is_refused(text, tmp_path):
    file = tmp_path / "odd.json"
    file.write_text(text)
    with pytest.raises(OptimizeError, match=r"python -m optimize.photos FOLDER"):
        photo_statistics.read(file)


def test_photos_without_colours_are_refused():
    with pytest.raises(OptimizeError, match="one colour"):
        measure([np.full((8, 8, 3), 7, np.uint8)])
    with pytest.raises(OptimizeError, match="no photo"):
        measure([])
