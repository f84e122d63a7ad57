"""Write a net in Python, as pycaffe's `caffe.NetSpec`, `caffe.layers` and `caffe.params`.

    from torchcaffe import layers as L, params as P

    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 227, 227]))
    n.conv1 = L.Convolution(n.data, num_output=96, kernel_size=11, stride=4)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.relu1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    text = str(n.to_proto())

A `Function` is a layer with its inputs and settings, a `Top` one of its outputs. Tops that
are no attribute of a NetSpec get names of their own (`Convolution1`, ...).
"""

from __future__ import annotations

import difflib
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import Message

from torchcaffe.errors import CaffeError, UnknownNameError
from torchcaffe.proto import caffe_pb2
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter


class FieldError(CaffeError, AttributeError):
    """A layer was given a setting that its message does not have."""


class ValueKindError(CaffeError, TypeError):
    """A layer was given an input or a value of the wrong kind."""


class UnknownTopError(UnknownNameError, AttributeError):
    """A NetSpec has no top of that name (pycaffe raises KeyError for attributes, too)."""


def param_name_dict() -> dict[str, str]:
    """Return {"Convolution": "convolution", ...}: layer types to the names of their settings.

    `<name>_param` is the field of LayerParameter that holds the type's settings.
    """
    fields = LayerParameter.DESCRIPTOR.fields
    messages = [field for field in fields if field.name.endswith("_param") and field.message_type]
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in messages
    }


_PARAM_NAMES = param_name_dict()


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return value.tolist() if isinstance(value, np.ndarray) and value.ndim else [value]


def assign_proto(proto: Message, name: str, val: Any) -> None:
    """Set a field of a message to a Python value.

    Parameters
    ----------
    proto : google.protobuf.message.Message
        The message.
    name : str
        The field's name.
    val : object
        A dict fills a message field by field, a list (tuple, array) a repeated field; one
        value for a repeated field counts as a list of one.

    Raises
    ------
    FieldError
        The message has no such field.
    ValueKindError
        The value does not fit the field.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise FieldError(_no_field(proto, name))
    try:
        if field.is_repeated:
            for item in _listed(val):
                if isinstance(item, Mapping):
                    _assign_all(getattr(proto, name).add(), item)
                else:
                    getattr(proto, name).append(item)
        elif isinstance(val, Mapping):
            getattr(proto, name).SetInParent()
            _assign_all(getattr(proto, name), val)
        elif field.message_type is not None:
            getattr(proto, name).CopyFrom(val)
        else:
            setattr(proto, name, val)
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CaffeError):
            raise
        raise ValueKindError(
            f"{proto.DESCRIPTOR.name}.{name} can't be {val!r}: {error or type(error).__name__}"
        ) from error


def _assign_all(proto: Message, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        assign_proto(proto, name, value)


def _no_field(proto: Message, name: str) -> str:
    known = list(proto.DESCRIPTOR.fields_by_name)
    near = difflib.get_close_matches(name, known, 3) or known
    return f"{proto.DESCRIPTOR.name} has no field {name!r}; near are {', '.join(near[:12])}"


class Top:
    """One output of a layer.

    Attributes
    ----------
    fn : Function
        The layer.
    n : int
        Which of its outputs.
    """

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> NetParameter:
        """Return the net of all layers that this top needs, with names made up."""
        return to_proto(self)


class Function:
    """One layer: its type, inputs and settings, and the tops it makes.

    Parameters
    ----------
    type_name : str
        The layer's type.
    inputs : sequence of Top
        Its bottoms.
    params : dict
        Its settings: fields of the type's own message, or of LayerParameter; and `ntop`
        (number of tops, 1 unless given) and `in_place` (the top is the bottom).
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        self.type_name = type_name
        for index, value in enumerate(inputs):
            if not isinstance(value, Top):
                raise ValueKindError(
                    f"{type_name} input {index} is not a Top (type is {type(value)})"
                )
        self.inputs = tuple(inputs)
        self.params = dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def fill(self, layer: LayerParameter) -> None:
        """Write the settings into a layer message."""
        own = _PARAM_NAMES.get(self.type_name)
        for name, value in self.params.items():
            message: Message = layer
            if own is not None and not name.endswith("param"):
                settings = getattr(layer, f"{own}_param")
                if name in settings.DESCRIPTOR.fields_by_name:
                    message = settings
            if message is layer and name not in layer.DESCRIPTOR.fields_by_name:
                raise FieldError(self._unknown(layer, name))
            assign_proto(message, name, value)

    def _unknown(self, layer: LayerParameter, name: str) -> str:
        own = _PARAM_NAMES.get(self.type_name)
        if own is not None:
            return f"a {self.type_name} layer: {_no_field(getattr(layer, f'{own}_param'), name)}"
        return (
            f"a {self.type_name} layer has no settings of its own name, so {name!r} has no place; "
            f"name the message: {self.type_name}(..., xyz_param=dict({name}=...))"
        )


class _Writer:
    """Turns functions into layer messages, each after the ones it needs."""

    def __init__(self, names: Mapping[Top | Function, str]) -> None:
        self.names = dict(names)
        self.counts: Counter[str] = Counter()
        self.layers: OrderedDict[Function, LayerParameter] = OrderedDict()

    def add(self, last: Function) -> None:
        """Write `last` and whatever it needs (by hand: nets may be deeper than the stack)."""
        stack = [last]
        while stack:
            fn = stack[-1]
            missing = [top.fn for top in fn.inputs if top.fn not in self.layers]
            if missing and fn not in self.layers:
                stack.append(missing[0])
                continue
            stack.pop()
            if fn not in self.layers:
                self.layers[fn] = self._write(fn)

    def _write(self, fn: Function) -> LayerParameter:
        layer = LayerParameter(type=fn.type_name)
        layer.bottom.extend(self.layers[top.fn].top[top.n] for top in fn.inputs)
        if fn.in_place:
            layer.top.extend(layer.bottom)
        else:
            layer.top.extend(self._name(top, fn) for top in fn.tops)
        layer.name = self._name(fn.tops[0] if fn.tops and fn not in self.names else fn, fn)
        fn.fill(layer)
        return layer

    def _name(self, what: Top | Function, fn: Function) -> str:
        if what not in self.names:
            self.counts[fn.type_name] += 1
            self.names[what] = f"{fn.type_name}{self.counts[fn.type_name]}"
        return self.names[what]

    def net(self) -> NetParameter:
        """Return the layers written so far as a net."""
        return NetParameter(layer=self.layers.values())


def to_proto(*tops: Top | Function) -> NetParameter:
    """Return the net of all layers that `tops` need, with names made up."""
    writer = _Writer({})
    for top in tops:
        writer.add(_function_of(top, "to_proto"))
    return writer.net()


def _function_of(value: object, where: str) -> Function:
    if isinstance(value, Top):
        return value.fn
    if isinstance(value, Function):
        return value
    hint = "; a layer with several tops gives one for each: n.a, n.b = L.Slice(x, ntop=2)"
    raise ValueKindError(
        f"{where} is a {type(value).__name__}, but should be what a layer returns"
        + (hint if isinstance(value, tuple) else "")
    )


class NetSpec:
    """A net whose layers are named by assigning them to attributes (or items).

    Attributes
    ----------
    tops : OrderedDict of str to Top or Function
        What was assigned, in order.
    """

    tops: OrderedDict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name == "tops" or name.startswith("__"):  # asked before __init__ ran: copy, pickle
            raise AttributeError(name)
        if name not in self.tops:
            known = ", ".join(self.tops) or "none"
            raise UnknownTopError(f"this NetSpec has no top {name!r}; its tops: {known}")
        return self.tops[name]

    def __delattr__(self, name: str) -> None:
        getattr(self, name)
        del self.tops[name]

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __delitem__(self, name: str) -> None:
        delattr(self, name)

    def to_proto(self) -> NetParameter:
        """Return the net of all layers that the assigned tops need.

        Raises
        ------
        FieldError
            A layer was given a setting that it does not have.
        ValueKindError
            An attribute is not what a layer returns, or a setting has the wrong kind.
        """
        functions = [_function_of(top, f"NetSpec.{name}") for name, top in self.tops.items()]
        writer = _Writer({top: name for name, top in self.tops.items()})
        for fn in functions:
            writer.add(fn)
        return writer.net()


class Layers:
    """Layer types by attribute: `layers.Convolution(bottom, num_output=3)` returns its top.

    A layer of several tops (`ntop=2`) returns a tuple of them, one of none the Function.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer_fn(*args: Top, **kwargs: Any) -> Any:
            fn = Function(name, args, kwargs)
            if fn.ntop == 0:
                return fn
            return fn.tops[0] if fn.ntop == 1 else fn.tops

        layer_fn.__name__ = name
        return layer_fn


class Parameters:
    """Constants of the settings' messages by attribute: `params.Pooling.MAX`."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise FieldError(f"there is no message {name}Parameter whose constants could be given")
        return message


layers = Layers()
params = Parameters()
