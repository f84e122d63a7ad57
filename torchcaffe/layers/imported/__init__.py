"""Layers of nets from PyTorch and ONNX that Caffe lacks: an operator's call in, its tops out."""

from torchcaffe.layers.imported import deviation, operator

__all__ = ["deviation", "operator"]
