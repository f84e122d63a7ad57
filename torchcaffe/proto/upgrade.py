"""Bring legacy net definitions to the current form, as Caffe does when it loads them."""

from __future__ import annotations

from torchcaffe.errors import DefinitionError
from torchcaffe.proto import caffe_pb2

V1 = caffe_pb2.V1LayerParameter
# enum name -> type string, where the words are not just joined in title case
_IRREGULAR = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
_DATA_LAYERS = ("Data", "ImageData", "WindowData")
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


def type_of_v1(value: int) -> str:
    """Return the layer type that a V1 enum value stands for."""
    name = V1.LayerType.Name(value)
    return _IRREGULAR.get(name) or "".join(word.capitalize() for word in name.split("_"))


def upgrade(net: caffe_pb2.NetParameter, source: str) -> caffe_pb2.NetParameter:
    """Return `net` with V2 layers only, Input layers for its inputs, current fields."""
    if net.layers and net.layer:
        raise DefinitionError(
            f"{source} mixes 'layer' and 'layers'; write all layers in one form, best 'layer'"
        )
    for old in net.layers:
        net.layer.append(_upgrade_layer(old, source))
    del net.layers[:]
    _upgrade_inputs(net, source)
    for layer in net.layer:
        _upgrade_transform(layer)
        _upgrade_batch_norm(layer)
    return net


def _upgrade_layer(old: V1, source: str) -> caffe_pb2.LayerParameter:
    if old.HasField("layer"):
        raise DefinitionError(
            f"{source}: layer {old.layer.name!r} has the form of 2013, layers {{ layer {{ }} }}; "
            "write it as layer { name: ... type: ... }"
        )
    new = caffe_pb2.LayerParameter(name=old.name, bottom=old.bottom, top=old.top)
    new.type = type_of_v1(old.type)
    for descriptor, value in old.ListFields():
        if descriptor.name.endswith("_param"):
            getattr(new, descriptor.name).CopyFrom(value)
    for field in ("include", "exclude", "loss_weight", "blobs"):
        getattr(new, field).extend(getattr(old, field))
    count = max(len(old.param), len(old.blobs_lr), len(old.weight_decay), len(old.blob_share_mode))
    for i in range(count):
        spec = new.param.add()
        for values, field in (
            (old.param, "name"),
            (old.blobs_lr, "lr_mult"),
            (old.weight_decay, "decay_mult"),
            (old.blob_share_mode, "share_mode"),
        ):
            if i < len(values):
                setattr(spec, field, values[i])
    return new


def _upgrade_inputs(net: caffe_pb2.NetParameter, source: str) -> None:
    if not net.input:
        return
    if net.input_dim and not net.input_shape and len(net.input_dim) != 4 * len(net.input):
        raise DefinitionError(
            f"{source} has {len(net.input)} input(s) and {len(net.input_dim)} input_dim; "
            "write four for each input: number, channels, height, width"
        )
    if net.input_shape and len(net.input_shape) != len(net.input):
        raise DefinitionError(
            f"{source} has {len(net.input)} input(s) and {len(net.input_shape)} input_shape; "
            "write one input_shape for each input"
        )
    layers = []
    for i, name in enumerate(net.input):
        layer = caffe_pb2.LayerParameter(name=name, type="Input", top=[name])
        if net.input_shape:
            layer.input_param.shape.add().CopyFrom(net.input_shape[i])
        elif net.input_dim:
            layer.input_param.shape.add().dim.extend(net.input_dim[4 * i : 4 * i + 4])
        layers.append(layer)
    rest = list(net.layer)
    del net.layer[:]
    net.layer.extend(layers + rest)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _upgrade_transform(layer: caffe_pb2.LayerParameter) -> None:
    """Move scale, mean_file, crop_size and mirror of data layers to transform_param."""
    field = {"Data": "data_param", "ImageData": "image_data_param"}.get(layer.type)
    if layer.type == "WindowData":
        field = "window_data_param"
    if field is None:
        return
    param = getattr(layer, field)
    for name in _TRANSFORM_FIELDS:
        if param.HasField(name):
            setattr(layer.transform_param, name, getattr(param, name))
            param.ClearField(name)


def _upgrade_batch_norm(layer: caffe_pb2.LayerParameter) -> None:
    """Statistics are not learned: their rates are zero, whatever the file says."""
    if layer.type == "BatchNorm" and len(layer.param) == 3:
        for spec in layer.param:
            spec.lr_mult = 0.0
            spec.decay_mult = 0.0
