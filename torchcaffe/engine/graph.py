"""From a net's definition to the list of layers that is built: filtering and splits."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from torchcaffe.errors import DefinitionError
from torchcaffe.layers import layer_class
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter, NetState, NetStateRule, Phase

MAX_LAYERS = 10_000
AUTOMATIC = "(automatic)"  # what Caffe calls the top that a loss layer leaves out


def _meets(state: NetState, rule: NetStateRule) -> bool:
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and all(stage in state.stage for stage in rule.stage)
        and all(stage not in state.stage for stage in rule.not_stage)
    )


def filter_layers(net: NetParameter, state: NetState) -> list[LayerParameter]:
    """Return the layers that phase, level and stages of `state` include."""
    kept = []
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise DefinitionError(
                f"layer {layer.name!r} has include and exclude rules; write one kind only"
            )
        if layer.include:
            wanted = any(_meets(state, rule) for rule in layer.include)
        else:
            wanted = not any(_meets(state, rule) for rule in layer.exclude)
        if wanted:
            kept.append(layer)
    if len(kept) > MAX_LAYERS:
        raise DefinitionError(f"{len(kept)} layers; at most {MAX_LAYERS} are accepted")
    if not kept:
        raise DefinitionError(
            f"no layer is left for phase {Phase.Name(state.phase)}, level {state.level}, "
            f"stages {list(state.stage)}; look at the include and exclude rules"
        )
    return kept


def split_name(layer: str, blob: str, index: int) -> str:
    """Return the name of the split of a layer's top `index`, as Caffe names it."""
    return f"{blob}_{layer}_{index}_split"


Place = tuple[int, int]  # layer number, top or bottom number


def _consumers(layers: list[LayerParameter]) -> tuple[dict[Place, Place], Counter[Place]]:
    """Return where each bottom comes from, and how often each top is used."""
    newest: dict[str, Place] = {}
    source: dict[Place, Place] = {}
    uses: Counter[Place] = Counter()
    for i, layer in enumerate(layers):
        for j, bottom in enumerate(layer.bottom):
            if bottom not in newest:
                raise DefinitionError(
                    f"layer {layer.name!r} ({layer.type}) has the unknown bottom {bottom!r}; "
                    f"blobs before it: {', '.join(list(newest)[-40:]) or 'none'}"
                )
            source[i, j] = newest[bottom]
            uses[newest[bottom]] += 1
        for j, top in enumerate(layer.top):
            if top in newest and top not in layer.bottom[j : j + 1]:
                raise DefinitionError(
                    f"layer {layer.name!r} ({layer.type}) makes the top {top!r}, which layer "
                    f"{layers[newest[top][0]].name!r} made already; give it another name"
                )
            newest[top] = (i, j)
    return source, uses


def copy_of(layer: LayerParameter) -> LayerParameter:
    """Return a copy, also of a message whose required fields (Clip's) are missing."""
    copy = LayerParameter()
    copy.CopyFrom(layer)
    return copy


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names with the second, third, ... `x` called `x_2`, `x_3`, ...

    Caffe lets layers share a name, and finds the first of them by it.
    """
    taken, out = set(names), []
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        new, number = name, seen[name]
        while number > 1 and (new == name or new in taken):
            new, number = f"{name}_{number}", number + 1
        taken.add(new)
        out.append(new)
    return out


def _rename_twins(layers: list[LayerParameter]) -> None:
    for layer, name in zip(layers, unique_names([la.name for la in layers]), strict=True):
        if name != layer.name:
            warnings.warn(
                f"two layers have the name {layer.name!r}; the later ({layer.type}) is called "
                f"{name!r} here",
                stacklevel=2,
            )
            layer.name = name


def _name_automatic_tops(layers: list[LayerParameter]) -> None:
    """Give losses that leave their top out one, as Caffe does (it calls all of them alike)."""
    unnamed = []
    for layer in layers:
        cls = layer_class(layer)
        if cls is not None and cls.may_leave_top_out and not layer.top:
            unnamed.append(layer)
    for layer, name in zip(unnamed, unique_names([AUTOMATIC] * len(unnamed)), strict=True):
        layer.top.append(name)


def insert_splits(layers: Iterable[LayerParameter]) -> list[LayerParameter]:
    """Return the layers with a Split behind every top that several bottoms use.

    Names are Caffe's: layer and blobs `<blob>_<layer>_<top>_split[_<k>]`. Layers of one name
    get names of their own first, and losses without a top an automatic one.
    """
    layers = [copy_of(layer) for layer in layers]
    _rename_twins(layers)
    _name_automatic_tops(layers)
    source, uses = _consumers(layers)
    taken: dict[Place, int] = defaultdict(int)
    out = []
    for i, layer in enumerate(layers):
        for j, bottom in enumerate(layer.bottom):
            place = source[i, j]
            if uses[place] > 1:
                name = split_name(layers[place[0]].name, bottom, place[1])
                layer.bottom[j] = f"{name}_{taken[place]}"
                taken[place] += 1
        out.append(layer)
        for j, top in enumerate(layer.top):
            if uses[i, j] > 1:
                name = split_name(layer.name, top, j)
                split = LayerParameter(name=name, type="Split", bottom=[top])
                split.top.extend(f"{name}_{k}" for k in range(uses[i, j]))
                out.append(split)
    return out
