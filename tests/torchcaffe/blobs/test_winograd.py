"""Winograd's convolutions against double precision, and where they are taken."""

import pytest
import torch

from torchcaffe.blobs import packed, winograd
from torchcaffe.blobs.blob import Blob


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def always(monkeypatch):
    """Take it for few channels and small maps too, and nothing else."""
    monkeypatch.setattr(winograd, "_PAYS", 1e9)
    winograd.way.cache_clear()

    def never(*args):
        raise AssertionError("another algorithm was taken")

    monkeypatch.setattr(packed, "_run", never)
    monkeypatch.setattr(packed, "_transposed", never)
    yield
    winograd.way.cache_clear()


def assert_close(found, expected):
    """Errors are small beside the largest value."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 3e-5 * expected.abs().max()


def plan(kernel, group=1):
    return packed.Geometry((1, 1), (kernel // 2, kernel // 2), group)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7), (9, 6), (13, 10), (27, 14)])
@pytest.mark.parametrize(("kernel", "batch", "group"), [(3, 1, 1), (3, 6, 2), (5, 1, 2), (5, 3, 1)])
@pytest.mark.parametrize("folded", [False, True])
def test_equal_to_double_precision(size, kernel, batch, group, folded, always, monkeypatch):
    monkeypatch.setattr(winograd, "_MOST_TILES", 8)  # several parts of the batch, too
    monkeypatch.setattr(winograd, "_MOST_PIECES", 8)
    weight, bias, factor = Blob((6, 8 // group, kernel, kernel)), numbers(6), numbers(6) + 3
    weight.set_tensor(numbers(*weight.dims))
    x, wide = numbers(batch, 8, *size), factor.double().view(-1, 1, 1) if folded else 1.0
    fold = packed.Fold(factor, bias, 1) if folded else None
    inputs = x.double().requires_grad_()
    double = weight.tensor.double()
    expected = torch.conv2d(inputs, double, padding=kernel // 2, groups=group) * wide
    top = packed.convolve(x, weight, bias, plan(kernel, group), fold)
    shifted = expected + bias.double().view(-1, 1, 1)
    assert_close(top, shifted)
    diff = numbers(*top.shape)
    expected.backward(diff.double())
    back = packed.carry_back(diff, weight, size, plan(kernel, group), fold)
    assert_close(back, inputs.grad)


@pytest.mark.parametrize("kernel", [3, 5])
def test_errors_stay_small_in_wide_layers(kernel, always):
    weight = Blob((64, 256, kernel, kernel))
    weight.set_tensor(numbers(*weight.dims))
    x = numbers(2, 256, 13, 13).relu()
    expected = torch.conv2d(x.double(), weight.tensor.double(), padding=kernel // 2)
    top = packed.convolve(x, weight, None, plan(kernel))
    assert_close(top, expected)


@pytest.mark.parametrize("kernel", [3, 5])
def test_an_image_does_not_depend_on_the_others(kernel, always):
    weight = Blob((16, 8, kernel, kernel))
    weight.set_tensor(numbers(16, 8, kernel, kernel))
    x, others = numbers(5, 8, 20, 20), numbers(5, 8, 20, 20) + 1
    others[3] = x[3]
    together, again = (packed.convolve(each, weight, None, plan(kernel)) for each in (x, others))
    assert torch.equal(together[3], again[3])


def test_parts_of_a_batch_are_of_one_size():
    assert winograd._images_at_once(16, 49, 512) == 8
    assert winograd._images_at_once(7, 49, 256) == 1  # no other divisor fits
    assert winograd._images_at_once(3, 1000, 512) == 1


@pytest.mark.parametrize(
    ("shape", "weight", "stride", "pad", "group", "expected"),
    [
        ((1, 256, 56, 56), (256, 256, 3, 3), (1, 1), (1, 1), 1, 4),
        ((1, 512, 14, 14), (512, 512, 3, 3), (1, 1), (1, 1), 1, 4),
        ((1, 64, 224, 224), (64, 64, 3, 3), (1, 1), (1, 1), 1, None),
        ((1, 256, 13, 13), (384, 256, 3, 3), (1, 1), (1, 1), 1, None),
        ((16, 256, 13, 13), (384, 256, 3, 3), (1, 1), (1, 1), 1, 5),
        ((16, 384, 13, 13), (256, 192, 3, 3), (1, 1), (1, 1), 2, 5),
        ((1, 256, 56, 56), (256, 256, 3, 3), (2, 2), (1, 1), 1, None),
        ((1, 256, 56, 56), (256, 256, 3, 3), (1, 1), (0, 0), 1, None),
        ((0, 256, 56, 56), (256, 256, 3, 3), (1, 1), (1, 1), 1, None),
        ((1, 96, 27, 27), (256, 48, 5, 5), (1, 1), (2, 2), 2, winograd.Rows.SIDE),
        ((1, 16, 28, 28), (32, 16, 5, 5), (1, 1), (2, 2), 1, None),
        ((16, 48, 7, 7), (128, 48, 5, 5), (1, 1), (2, 2), 1, None),
    ],
)
def test_where_it_pays(shape, weight, stride, pad, group, expected):
    way = winograd.way(shape, weight, stride, pad, group)
    side = way and (way.side if isinstance(way, winograd.Tiles) else way.SIDE)
    assert side == expected
