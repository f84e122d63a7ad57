"""Bring the oldest definitions, `layers { layer { } }` of 2013, to V1, as Caffe does.

Padding was a layer of its own then, which is folded into the convolution or pooling behind it,
and all settings of a layer stood beside its name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torchcaffe.errors import DefinitionError
from torchcaffe.proto import caffe_pb2
from torchcaffe.proto.caffe_pb2 import V0LayerParameter as V0
from torchcaffe.proto.caffe_pb2 import V1LayerParameter as V1

_PADDING = "padding"
TYPES = {
    "accuracy": V1.ACCURACY,
    "bnll": V1.BNLL,
    "concat": V1.CONCAT,
    "conv": V1.CONVOLUTION,
    "data": V1.DATA,
    "dropout": V1.DROPOUT,
    "euclidean_loss": V1.EUCLIDEAN_LOSS,
    "flatten": V1.FLATTEN,
    "hdf5_data": V1.HDF5_DATA,
    "hdf5_output": V1.HDF5_OUTPUT,
    "im2col": V1.IM2COL,
    "images": V1.IMAGE_DATA,
    "infogain_loss": V1.INFOGAIN_LOSS,
    "innerproduct": V1.INNER_PRODUCT,
    "lrn": V1.LRN,
    "multinomial_logistic_loss": V1.MULTINOMIAL_LOGISTIC_LOSS,
    "pool": V1.POOLING,
    "relu": V1.RELU,
    "sigmoid": V1.SIGMOID,
    "softmax": V1.SOFTMAX,
    "softmax_loss": V1.SOFTMAX_LOSS,
    "split": V1.SPLIT,
    "tanh": V1.TANH,
    "window_data": V1.WINDOW_DATA,
}
_CONV, _FC, _POOL = "convolution_param", "inner_product_param", "pooling_param"
_LRN, _WINDOW, _IMAGE = "lrn_param", "window_data_param", "image_data_param"
_SOURCES = {
    "data": "data_param", "hdf5_data": "hdf5_data_param", "images": _IMAGE,
    "window_data": _WINDOW,
}  # fmt: skip
_TRANSFORM = {
    "scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror",
}  # fmt: skip
# field -> its name since, and by layer type the message it is in
_PLACES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "num_output": ("num_output", {"conv": _CONV, "innerproduct": _FC}),
    "biasterm": ("bias_term", {"conv": _CONV, "innerproduct": _FC}),
    "weight_filler": ("weight_filler", {"conv": _CONV, "innerproduct": _FC}),
    "bias_filler": ("bias_filler", {"conv": _CONV, "innerproduct": _FC}),
    "pad": ("pad", {"conv": _CONV, "pool": _POOL}),
    "kernelsize": ("kernel_size", {"conv": _CONV, "pool": _POOL}),
    "group": ("group", {"conv": _CONV}),
    "stride": ("stride", {"conv": _CONV, "pool": _POOL}),
    "pool": ("pool", {"pool": _POOL}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", {"lrn": _LRN}),
    "alpha": ("alpha", {"lrn": _LRN}),
    "beta": ("beta", {"lrn": _LRN}),
    "k": ("k", {"lrn": _LRN}),
    "source": ("source", {**_SOURCES, "infogain_loss": "infogain_loss_param"}),
    "batchsize": ("batch_size", _SOURCES),
    "rand_skip": ("rand_skip", {"data": "data_param", "images": _IMAGE}),
    "shuffle_images": ("shuffle", {"images": _IMAGE}),
    "new_height": ("new_height", {"images": _IMAGE}),
    "new_width": ("new_width", {"images": _IMAGE}),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", {"window_data": _WINDOW}),
    "det_bg_threshold": ("bg_threshold", {"window_data": _WINDOW}),
    "det_fg_fraction": ("fg_fraction", {"window_data": _WINDOW}),
    "det_context_pad": ("context_pad", {"window_data": _WINDOW}),
    "det_crop_mode": ("crop_mode", {"window_data": _WINDOW}),
}


def upgrade_v0(net: caffe_pb2.NetParameter, source: str) -> None:
    """Turn the V0 layers of `net`, if it has any, into V1 layers.

    Raises
    ------
    DefinitionError
        A layer has a type that V0 did not know, or a padding layer stands where Caffe refuses it.
    """
    if not any(layer.HasField("layer") for layer in net.layers):
        return
    layers = [_upgraded(layer, source) for layer in _without_padding(net, source)]
    del net.layers[:]
    net.layers.extend(layers)


def _without_padding(net: caffe_pb2.NetParameter, source: str) -> list[V1]:
    """Return the layers without those that pad: what they add is `pad` of the layer behind."""
    newest: dict[str, V1 | None] = dict.fromkeys(net.input)
    kept: list[V1] = []
    for layer in net.layers:
        own = V1()
        own.CopyFrom(layer)
        for j, bottom in enumerate(layer.bottom):
            if bottom not in newest:
                raise DefinitionError(
                    f"{source}: layer {layer.layer.name!r} has the unknown bottom {bottom!r}"
                )
            before = newest[bottom]
            if before is not None and before.layer.type == _PADDING:
                _check_padding(before, layer, source)
                own.layer.pad = before.layer.pad
                own.bottom[j] = before.bottom[0]
        if layer.layer.type != _PADDING:
            kept.append(own)
        newest.update(dict.fromkeys(layer.top, layer))
    return kept


def _check_padding(padding: V1, user: V1, source: str) -> None:
    if (
        user.layer.type in ("conv", "pool")
        and len(user.bottom) == len(padding.bottom) == len(padding.top) == 1
    ):
        return
    raise DefinitionError(
        f"{source}: the padding layer {padding.layer.name!r} is used by layer "
        f"{user.layer.name!r} ({user.layer.type}); padding of one blob before one conv or pool "
        "layer is accepted"
    )


def _upgraded(old: V1, source: str) -> V1:
    if not old.HasField("layer"):  # a V1 layer among them
        return old
    own = old.layer
    new = V1(name=own.name, bottom=old.bottom, top=old.top)
    if own.HasField("type"):
        if own.type not in TYPES:
            raise DefinitionError(
                f"{source}: layer {own.name!r} has the type {own.type!r}, which definitions of "
                f"2013 (layers {{ layer {{ }} }}) do not know; known are {', '.join(TYPES)}"
            )
        new.type = TYPES[own.type]
    for name in ("blobs", "blobs_lr", "weight_decay"):
        getattr(new, name).extend(getattr(own, name))
    for descriptor, value in own.ListFields():
        if descriptor.name in _PLACES:
            _move(new, own, descriptor.name, value, source)
        elif descriptor.name in _TRANSFORM:
            setattr(new.transform_param, _TRANSFORM[descriptor.name], value)
    if own.HasField("hdf5_output_param"):
        new.hdf5_output_param.CopyFrom(own.hdf5_output_param)
    return new


def _move(new: V1, own: V0, name: str, value: object, source: str) -> None:
    """Put the value of a field into the message where it stands since."""
    later, messages = _PLACES[name]
    if own.type not in messages:
        warnings.warn(
            f"{source}: layer {own.name!r} ({own.type}) has no setting {name}; it is skipped",
            stacklevel=2,
        )
        return
    message = getattr(new, messages[own.type])
    if isinstance(value, caffe_pb2.FillerParameter):
        getattr(message, later).CopyFrom(value)
    elif message.DESCRIPTOR.fields_by_name[later].is_repeated:
        getattr(message, later).append(value)
    else:
        setattr(message, later, value)
