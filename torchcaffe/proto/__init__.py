"""Caffe's file formats: the schema (`caffe_pb2`), text, binary and legacy forms."""

from torchcaffe.proto import caffe_pb2

__all__ = ["caffe_pb2"]
