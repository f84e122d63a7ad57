"""On a GPU everything gives what the CPU gives, within float32's rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pytest

import torchcaffe as caffe

T = TypeVar("T")


@pytest.fixture
def both() -> Iterator[Callable[[Callable[[], T]], tuple[T, T]]]:
    """Return a function that calls another on the CPU, then on the GPU: both answers."""

    def run(work: Callable[[], T]) -> tuple[T, T]:
        caffe.set_mode_cpu()
        here = work()
        caffe.set_mode_gpu()
        return here, work()

    yield run
    caffe.set_mode_cpu()


def near(found: np.ndarray, wanted: np.ndarray, most: float = 1e-4) -> bool:
    """Tell whether the largest difference is small beside the largest value."""
    assert found.shape == wanted.shape
    return bool(np.abs(found - wanted).max() <= most * max(np.abs(wanted).max(), 1e-6))
