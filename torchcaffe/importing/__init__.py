"""Nets from PyTorch and ONNX."""

from torchcaffe.importing.sources import from_exported, from_onnx, from_torch

__all__ = ["from_exported", "from_onnx", "from_torch"]
