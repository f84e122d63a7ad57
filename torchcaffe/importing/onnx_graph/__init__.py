"""ONNX files: each node is a call of PyTorch's functions, and the whole a module to export."""
