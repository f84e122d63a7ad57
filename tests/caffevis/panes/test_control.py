"""The list of layers in panes of every shape: the selected layer is always in sight, readable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffevis.keys import transitions as go
from caffevis.keys.state import Layer, Options, first_state
from caffevis.model.blocks import blocks_of
from caffevis.panes import control
from caffevis.panes.parts.look import look_from
from settings import TABLE
from toolbox.settings import config

SETTINGS = config.load(TABLE, None)
LOOK = look_from(SETTINGS)
RESNET = ["conv1", "pool1"] + [
    name
    for stage, blocks in ((2, 3), (3, 8), (4, 36), (5, 3))
    for block in range(blocks)
    for name in (
        [f"res{stage}b{block}_branch{part}" for part in ("2a", "2b", "2c")]
        + [f"res{stage}b{block}"]
    )
]
LISTS = {
    "ResNet-152": RESNET,
    "long names": [f"res{n}db_branch2a_long" for n in range(60)],
    "GoogLeNet": [f"inception_{n}{a}/{part}" for n in (3, 4, 5) for a in "abcde"
                  for part in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool", "output")],
    "a few": ["conv1", "pool1", "fc"],
}  # fmt: skip


def state_of(names, **values):
    split = zip(names, blocks_of(names), strict=True)
    layers = tuple(Layer(name, name, 4, 2, 2, block, part) for name, (block, part) in split)
    return replace(first_state(layers, Options()), **values)


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("room", [(30, 900), (45, 1200), (90, 300), (30, 200)])
@pytest.mark.parametrize("names", LISTS)
def test_at_every_step_the_selected_layer_is_in_sight_and_readable(names, room, scale):
    look = look_from(SETTINGS.replaced(global_scale=scale))
    size = (round(room[0] * scale), round(room[1] * scale))
    state = state_of(LISTS[names])
    for index in range(0, len(state.layers), 3):
        view = control.view(replace(state, layer_index=index), look)
        placed = control.place(view, size)
        (found,) = [label for label in placed if label.word.layer == index]
        style = found.word.style
        assert style.size >= 0.79 * look.control.size
        assert found.x >= 0 and found.y - style.above() >= 0
        assert found.y + style.depth() <= size[0] + 1
        if room[1] > 300:
            assert found.x + found.word.room <= size[1]
            ends = [(label.x, label.x + label.word.room) for label in placed if label.y == found.y]
            assert all(a[1] <= b[0] for a, b in zip(ends, ends[1:], strict=False))


def test_the_block_of_the_first_layer_in_sight_is_its_heading():
    state = state_of(LISTS["GoogLeNet"], layer_index=38)  # in the middle of inception_4a
    placed = control.place(control.view(state, LOOK), (30, 900))
    assert placed[0].word.layer is None
    for number, label in enumerate(placed):
        if label.word.layer is None:
            continue
        heads = [p.word.text for p in placed[:number] if p.word.layer is None]
        layer = state.layers[label.word.layer]
        assert heads[-1] == layer.block
        assert label.word.text == layer.part


def test_a_list_that_fits_is_not_scrolled():
    for index in range(3):
        state = state_of(LISTS["a few"], layer_index=index)
        placed = control.place(control.view(state, LOOK), (30, 900))
        assert [label.word.layer for label in placed] == [0, 1, 2]


def drawn(state) -> np.ndarray:
    picture = np.zeros((30, 900, 3), np.uint8)
    control.draw(picture, control.view(state, LOOK))
    return picture


def test_a_filter_is_shown_while_it_is_typed_and_kept():
    state = state_of(RESNET)
    assert control.view(state, LOOK).note == f"1/{len(RESNET)}"
    typed = go.type_filter(go.type_filter(go.open_filter(state), "5"), "b")
    at = 1 + control.view(typed, LOOK).listed.index(typed.layer_index)
    assert control.view(typed, LOOK).note == "with '5b_': 1/12"
    assert len(typed.listed) == 12 and at == 1
    assert not np.array_equal(drawn(state), drawn(typed))
    nothing = go.type_filter(go.type_filter(typed, "z"), "enter")
    assert control.view(nothing, LOOK).note == "with '5bz': none"
    drawn(nothing)
