"""Bring legacy net definitions to the current form, as Caffe does when it loads them."""

from __future__ import annotations

from torchcaffe.errors import DefinitionError
from torchcaffe.proto import caffe_pb2
from torchcaffe.proto.upgrade_v0 import upgrade_v0

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
    # of forks
    "BN": "BN",
    "CROP": "AutoCrop",  # FCN's fork works the offset out, BVLC's later Crop is told it
    "CONVOLUTION3D": "Convolution3D",
    "POOLING3D": "Pooling3D",
    "PRELU": "PReLU",
    "ROI_POOLING": "ROIPooling",
    "VIDEO_DATA": "VideoData",
}
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


def type_of_v1(name: str) -> str:
    """Return the layer type that the name of a V1 enum value stands for."""
    return _IRREGULAR.get(name) or "".join(word.capitalize() for word in name.split("_"))


def upgrade(net: caffe_pb2.NetParameter, source: str) -> caffe_pb2.NetParameter:
    """Return `net` with V2 layers only, an Input layer for its inputs, current fields."""
    if net.layers and net.layer:
        raise DefinitionError(
            f"{source} mixes 'layer' and 'layers'; write all layers in one form, best 'layer'"
        )
    upgrade_v0(net, source)
    for old in net.layers:
        net.layer.append(_upgrade_layer(old))
    del net.layers[:]
    _upgrade_inputs(net, source)
    for layer in net.layer:
        _upgrade_transform(layer)
        _upgrade_batch_norm(layer)
    return net


def _upgrade_layer(old: V1) -> caffe_pb2.LayerParameter:
    new = caffe_pb2.LayerParameter(name=old.name, bottom=old.bottom, top=old.top)
    new.type = type_of_v1(old.fork_type or V1.LayerType.Name(old.type))
    if new.type == "AutoCrop" and old.HasField("crop_param"):
        new.type = "Crop"
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
    """Make one layer `input` of the input fields; without sizes Caffe drops them."""
    shapes = len(net.input_shape)
    if net.input_dim and not shapes and len(net.input_dim) < 4 * len(net.input):
        raise DefinitionError(
            f"{source} has {len(net.input)} input(s) and {len(net.input_dim)} input_dim; "
            "write four for each input: number, channels, height, width"
        )
    if shapes and shapes != len(net.input):
        raise DefinitionError(
            f"{source} has {len(net.input)} input(s) and {shapes} input_shape; "
            "write one input_shape for each input"
        )
    layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
    if shapes:
        layer.input_param.shape.extend(net.input_shape)
    else:
        for i in range(0, len(net.input_dim) // 4 * 4, 4):
            layer.input_param.shape.add().dim.extend(net.input_dim[i : i + 4])
    if layer.input_param.shape and net.input:
        del layer.input_param.shape[len(net.input) :]
        rest = list(net.layer)
        del net.layer[:]
        net.layer.extend([layer, *rest])
    else:
        _check_dropped(net, source)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _check_dropped(net: caffe_pb2.NetParameter, source: str) -> None:
    """Refuse inputs without sizes that no layer makes: their users would find nothing."""
    made = {top for layer in net.layer for top in layer.top if top not in layer.bottom}
    missing = [name for name in net.input if name not in made]
    if missing:
        raise DefinitionError(
            f"{source} has the input {missing[0]!r} without its size; write behind it "
            "input_shape { dim: 1 dim: 3 dim: 227 dim: 227 } with your sizes, for each input"
        )


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
    if layer.type == "BatchNorm" and len(layer.param) in (3, 5):
        for spec in layer.param[:3]:
            spec.lr_mult = 0.0
            spec.decay_mult = 0.0
