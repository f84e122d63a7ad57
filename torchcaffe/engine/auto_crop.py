"""Where AutoCrop layers cut: worked out from the layers between their two bottoms.

In FCN's fork (V1's CROP) and in RCF's a crop has no offset of its own: walking back from both
bottoms to a blob they come from, the strides and paddings on the way say how the first one lies
over the second.
"""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict

from torchcaffe import coord_map
from torchcaffe.engine.graph import copy_of
from torchcaffe.errors import CaffeError, DefinitionError
from torchcaffe.net_spec import Function, Top
from torchcaffe.proto.caffe_pb2 import LayerParameter

TYPE = "AutoCrop"
_SLIDING = ("convolution_param", "pooling_param")


def with_crop_offsets(layers: list[LayerParameter]) -> list[LayerParameter]:
    """Return the layers with axis and offset in the `crop_param` of every AutoCrop layer.

    Raises
    ------
    DefinitionError
        The bottoms of one are not connected by layers that keep coordinates, or lie so that
        no crop fits them.
    """
    if all(layer.type != TYPE for layer in layers):
        return layers
    out: list[LayerParameter] = []
    tops: dict[str, Top] = {}
    for layer in layers:
        own = copy_of(layer)
        if layer.type == TYPE and len(layer.bottom) == 2:
            _set_offset(own, tops)
        inputs = [tops[name] for name in own.bottom if name in tops]
        made = _function(own, inputs)
        tops.update({name: Top(made, j) for j, name in enumerate(own.top)})
        out.append(own)
    return out


def _set_offset(layer: LayerParameter, tops: dict[str, Top]) -> None:
    if any(name not in tops for name in layer.bottom):
        return  # an unknown bottom: said with all of them
    try:
        crop = coord_map.crop(*(tops[name] for name in layer.bottom))
    except CaffeError as error:
        raise DefinitionError(
            f"layer {layer.name!r} ({layer.type}): where to crop does not follow from the layers "
            f'before it ({error}); write type: "Crop" with crop_param {{ axis: 2 offset: ... }}'
        ) from error
    settings = crop.fn.params["crop_param"]
    layer.crop_param.axis = settings["axis"]
    layer.crop_param.offset[:] = settings["offset"]


def _function(layer: LayerParameter, inputs: list[Top]) -> Function:
    """Return the layer as one of a NetSpec: its type, inputs and what coordinates depend on."""
    settings = {}
    for name in _SLIDING:
        if layer.HasField(name):
            values = MessageToDict(getattr(layer, name), preserving_proto_field_name=True)
            if "hole" in values:
                values["dilation"] = values["hole"]
            settings[name] = values
    if layer.HasField("crop_param"):
        settings["crop_param"] = {
            "axis": layer.crop_param.axis,
            "offset": list(layer.crop_param.offset) or [0],
        }
    type_ = "Crop" if layer.type == TYPE else layer.type
    return Function(type_, tuple(inputs), settings)
