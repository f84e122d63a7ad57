"""Where nets compute: pycaffe's mode and device calls, on PyTorch's devices."""

from __future__ import annotations

import warnings

import torch

_device = torch.device("cpu")
_gpu_index = 0


def current() -> torch.device:
    """Return the device on which nets built from now on compute."""
    return _device


def set_mode_cpu() -> None:
    """Compute on the CPU."""
    global _device
    _device = torch.device("cpu")


def set_mode_gpu() -> None:
    """Compute on the GPU, in float32 as Caffe; without one, warn once and stay on the CPU."""
    global _device
    if torch.cuda.is_available():
        # TF32, PyTorch's default for convolutions, keeps 10 bits of each factor: values would
        # be off by more than 1e-4.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        _device = torch.device("cuda", _gpu_index)
    else:
        warnings.warn("PyTorch finds no CUDA GPU here, computing on the CPU", stacklevel=2)
        _device = torch.device("cpu")


def set_device(index: int) -> None:
    """Choose the GPU by number, as `set_mode_gpu` will use it."""
    global _gpu_index, _device
    _gpu_index = index
    if _device.type == "cuda":
        _device = torch.device("cuda", index)


def set_random_seed(seed: int) -> None:
    """Seed the fillers, dropout and stochastic pooling."""
    torch.manual_seed(seed)


def set_threads(count: int) -> None:
    """Set the number of CPU threads that one operator uses (at least 1)."""
    torch.set_num_threads(max(1, int(count)))
