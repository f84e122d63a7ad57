"""A stand-in for the package `caffe` of a compiled BVLC Caffe, as its source documents it.

It computes with torchcaffe and shows exactly pycaffe's names: whatever else is asked for is an
AttributeError. Where Caffe would end the process (glog's CHECK), it raises `Aborted`, which
nothing catches. `DeconvNet` has in addition what the deconv branch of the original toolbox
added. `tree.py` writes it where `caffevis_caffe_root` looks for it.
"""

import threading
import warnings
from collections import OrderedDict
from pathlib import Path

from google.protobuf import text_format

import torchcaffe
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import parse_text

TRAIN, TEST = 0, 1
MODES = []  # (thread, mode) of each pass, for the tests
_mode = threading.local()  # Caffe's singleton is one for each thread


class Aborted(BaseException):
    """Where Caffe calls abort()."""


def set_mode_cpu():
    _mode.name = "cpu"


def set_mode_gpu():
    _mode.name = f"gpu {getattr(_mode, 'device', 0)}"


def set_device(number):
    _mode.device = number


class Vector:
    """A vector of C++: neither a list nor equal to one."""

    def __init__(self, values):
        self.__values = list(values)

    def __len__(self):
        return len(self.__values)

    def __getitem__(self, index):
        value = self.__values[index]
        return Vector(value) if isinstance(index, slice) else value

    def __iter__(self):
        return iter(self.__values)

    def __contains__(self, value):
        return value in self.__values


class Blob:
    def __init__(self, blob):
        self.__blob = blob

    data = property(lambda self: self.__blob.data)
    diff = property(lambda self: self.__blob.diff)
    shape = property(lambda self: Vector(self.__blob.shape))
    num = property(lambda self: self.__blob.num)
    count = property(lambda self: self.__blob.count)

    def reshape(self, *shape):
        if not all(type(size) is int for size in shape):
            raise TypeError("No registered converter was able to produce a C++ rvalue of type int")
        self.__blob.reshape(*shape)


class Layer:
    def __init__(self, layer):
        self.type = layer.type
        self.blobs = Vector(Blob(blob) for blob in layer.blobs)


class Names:
    """What `top_names` is in most versions: looks names up, and does nothing else."""

    def __init__(self, names):
        self.__names = names

    def __getitem__(self, layer):
        return list(self.__names[layer])


def _read(path, known_fields):
    text = Path(path).read_text(encoding="utf-8")
    try:
        if "deconv_ignore" in text and not known_fields:
            raise text_format.ParseError("no field named deconv_ignore")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return parse_text(text, NetParameter())
    except (torchcaffe.CaffeError, text_format.ParseError, UserWarning) as error:
        raise Aborted(f"Failed to parse NetParameter file: {error}") from error


class Net:
    """`caffe.Net`: (prototxt, weights, phase) or (prototxt, phase, weights=...)."""

    _knows_deconv = False

    def __init__(self, network_file, *args, phase=None, level=0, stages=None, weights=None):
        strings = [value for value in (network_file, weights, *args) if not isinstance(value, int)]
        if not all(value is None or type(value) is str for value in strings):
            raise TypeError("Python argument types in Net.__init__ did not match C++ signature")
        for value in args:
            weights, phase = (value, phase) if isinstance(value, str) else (weights, value)
        for path in (network_file, weights):
            if path is not None and not Path(path).is_file():
                raise RuntimeError(f"Could not open file {path}")
        param = _read(network_file, self._knows_deconv)
        self.__goes_backward = param.force_backward
        try:
            self.__net = torchcaffe.Net(network_file, phase)
            if weights is not None:
                self.__net.copy_from(weights)
        except torchcaffe.CaffeError as error:
            raise Aborted(str(error)) from error
        self.__blobs = OrderedDict((name, Blob(b)) for name, b in self.__net.blobs.items())

    blobs = property(lambda self: self.__blobs)
    layers = property(lambda self: Vector(Layer(layer) for layer in self.__net.layers))
    inputs = property(lambda self: list(self.__net.inputs))
    outputs = property(lambda self: list(self.__net.outputs))
    top_names = property(lambda self: Names(self.__net.top_names))
    bottom_names = property(lambda self: Names(self.__net.bottom_names))
    _layer_names = property(lambda self: Vector(self.__net._layer_names))

    def reshape(self):
        try:
            self.__net.reshape()
        except torchcaffe.CaffeError as error:
            raise Aborted(str(error)) from error

    def forward(self, blobs=None, start=None, end=None, **inputs):
        MODES.append((threading.get_ident(), getattr(_mode, "name", "cpu")))
        return self.__net.forward(blobs, start, end, **inputs)

    def backward(self, diffs=None, start=None, end=None, **top_diffs):
        names = list(self._layer_names)
        first = len(names) - 1 if start is None else names.index(start)
        self._backward(first, 0 if end is None else names.index(end))

    def _forward(self, start, end):
        return self.__net._forward(start, end)

    def _backward(self, start, end):
        self._pass(start, end, torchcaffe.RULES["backprop"])

    def _pass(self, start, end, rule):
        MODES.append((threading.get_ident(), getattr(_mode, "name", "cpu")))
        if not 0 <= end <= start < len(self.layers):
            raise Aborted("Check failed: start < layers_.size()")
        # Without a loss and without force_backward, no layer needs to go backward.
        if self.__goes_backward:
            self.__net._backward(start, end, rule)


class DeconvNet(Net):
    """The original toolbox's branch: `..._from_layer`, with diffs above set to zero."""

    _knows_deconv = True

    def deconv(self, diffs=None, start=None, end=None, **top_diffs):
        self._deconv(list(self._layer_names).index(start), 0)

    def _deconv(self, start, end):
        self._pass(start, end, torchcaffe.RULES["deconv"])

    def _set_diff(self, start_name, start_diff, zero_higher):
        blob = self.blobs[start_name]
        if start_diff.shape != blob.diff.shape:
            raise Exception(f"Expected start_diff of shape {blob.diff.shape}")
        blob.diff[...] = start_diff
        names = list(self.blobs)
        for name in names[names.index(start_name) + 1 :] if zero_higher else ():
            self.blobs[name].diff[...] = 0

    def backward_from_layer(self, start_name, start_diff, diffs=None, zero_higher=False):
        self._set_diff(start_name, start_diff, zero_higher)
        return self.backward(start=start_name, diffs=diffs)

    def deconv_from_layer(self, start_name, start_diff, diffs=None, zero_higher=False):
        self._set_diff(start_name, start_diff, zero_higher)
        return self.deconv(start=start_name, diffs=diffs)
