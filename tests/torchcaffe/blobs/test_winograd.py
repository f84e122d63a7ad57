"""Winograd's convolutions against double precision, and where they are taken."""

import pytest
import torch

from torchcaffe.blobs import packed, winograd
from torchcaffe.blobs.blob import Blob

PLAN = packed.Geometry((1, 1), (1, 1), 1)


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def small(monkeypatch):
    """Take it for few channels and small maps too."""
    monkeypatch.setattr(winograd, "_LEAST_CHANNELS", 2)
    monkeypatch.setattr(winograd, "_LEAST_SIZE", 1)
    monkeypatch.setattr(winograd, "_LEAST_WORK", 1)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7), (9, 6), (8, 12)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("folded", [False, True])
def test_equal_to_double_precision(size, batch, folded, small, monkeypatch):
    weight, bias, factor = Blob((5, 8, 3, 3)), numbers(5), numbers(5) + 3
    weight.set_tensor(numbers(5, 8, 3, 3))
    x, wide = numbers(batch, 8, *size), factor.double().view(-1, 1, 1) if folded else 1.0
    fold = packed.Fold(factor, bias, 1) if folded else None

    def never(*args):
        raise AssertionError("another algorithm was taken")

    monkeypatch.setattr(packed, "_run", never)
    monkeypatch.setattr(packed, "_transposed", never)
    inputs = x.double().requires_grad_()
    expected = torch.conv2d(inputs, weight.tensor.double(), padding=1) * wide
    top = packed.convolve(x, weight, bias, PLAN, fold)
    shifted = expected + bias.double().view(-1, 1, 1)
    assert torch.allclose(top.double(), shifted, rtol=1e-5, atol=3e-4)
    diff = numbers(*top.shape)
    expected.backward(diff.double())
    back = packed.carry_back(diff, weight, size, PLAN, fold)
    assert torch.allclose(back.double(), inputs.grad, rtol=1e-5, atol=3e-4)


def test_an_image_is_the_same_in_any_batch(small):
    weight = Blob((16, 8, 3, 3))
    weight.set_tensor(numbers(16, 8, 3, 3))
    x = numbers(5, 8, 20, 20)
    together = packed.convolve(x, weight, None, PLAN)
    assert torch.equal(together[3:4], packed.convolve(x[3:4], weight, None, PLAN))


@pytest.mark.parametrize(
    ("size", "weight", "stride", "pad", "group", "expected"),
    [
        ((56, 56), (256, 256, 3, 3), (1, 1), (1, 1), 1, True),
        ((28, 28), (512, 512, 3, 3), (1, 1), (1, 1), 1, True),
        ((224, 224), (64, 64, 3, 3), (1, 1), (1, 1), 1, False),
        ((14, 14), (512, 512, 3, 3), (1, 1), (1, 1), 1, False),
        ((56, 56), (256, 256, 3, 3), (2, 2), (1, 1), 1, False),
        ((56, 56), (256, 256, 3, 3), (1, 1), (0, 0), 1, False),
        ((56, 56), (256, 128, 3, 3), (1, 1), (1, 1), 2, False),
        ((56, 56), (256, 256, 5, 5), (1, 1), (1, 1), 1, False),
    ],
)
def test_where_it_pays(size, weight, stride, pad, group, expected):
    assert winograd.pays(size, weight, stride, pad, group) is expected
