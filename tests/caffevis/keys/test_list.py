"""Going along a long list of layers: by block, folded, filtered; to the strongest unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caffevis.keys import transitions as go
from caffevis.keys.keymap import BINDINGS
from caffevis.keys.state import Layer, Options, first_state
from caffevis.model.blocks import blocks_of

NAMES = ("conv1", "res2a_x", "res2a_bn", "res2a_y", "res2a", "res2b_x", "res2b_bn", "res2b", "prob")
LAYERS = tuple(
    Layer(name, name, 4, 2, 2, block, part, name.endswith("_bn"))
    for name, (block, part) in zip(NAMES, blocks_of(NAMES), strict=True)
)
START = first_state(LAYERS, Options())


def at(index: int, **values):
    return replace(START, layer_index=index, **values)


def typed(state, text: str):
    for key in text.split():
        state = go.type_filter(state, key)
    return state


def visited(step, state) -> list[str]:
    names = []
    for _ in range(6):
        state = step(state)
        names.append(state.layer.name)
    return names


def test_jumps_go_from_block_to_block_and_end_at_the_last_layer():
    assert visited(go.next_block, at(0)) == ["res2a_x", "res2b_x", "prob", "prob", "prob", "prob"]
    assert visited(go.previous_block, at(7)) == ["res2b_x", "res2a_x", *["conv1"] * 4]
    assert go.previous_block(at(3)).layer.name == "res2a_x"
    assert go.next_block(at(2, in_units=True, unit=3)).unit == 3  # the cursor stays


def test_a_network_without_blocks_is_gone_through_layer_by_layer():
    plain = tuple(replace(layer, block="") for layer in LAYERS)
    state = replace(START, layers=plain)
    assert visited(go.next_block, state) == list(NAMES[1:7])
    assert visited(go.previous_block, replace(state, layer_index=6)) == list(NAMES[5::-1])


def test_folded_layers_are_passed_over_and_left():
    folded = go.toggle_folded(at(2))
    assert folded.layer.name in ("res2a_x", "res2a_y")  # the nearest one that is listed
    assert [LAYERS[i].name for i in folded.listed] == [n for n in NAMES if not n.endswith("_bn")]
    assert go.next_layer(replace(folded, layer_index=1)).layer.name == "res2a_y"
    assert go.previous_layer(replace(folded, layer_index=3)).layer.name == "res2a_x"
    again = go.toggle_folded(folded)
    assert again.listed == tuple(range(len(NAMES)))


def test_a_filter_is_typed_kept_and_ended():
    state = typed(go.open_filter(at(0)), "R E S 2 B")
    assert state.typing
    assert [LAYERS[i].name for i in state.listed] == ["res2b_x", "res2b_bn", "res2b"]
    assert state.layer.name == "res2b_x"  # the nearest
    kept = typed(state, "enter")
    assert (kept.typing, kept.filter.lower()) == (False, "res2b")
    assert visited(go.next_layer, kept)[:3] == ["res2b_bn", "res2b", "res2b"]
    shorter = typed(go.open_filter(kept), "a b backspace space backspace f12")
    assert shorter.filter == "a"
    ended = typed(shorter, "esc")
    assert (ended.typing, ended.filter, len(ended.listed)) == (False, "", len(NAMES))
    assert go.reset(kept).filter == ""


def test_a_filter_that_nothing_has_keeps_the_layer_and_moves_nowhere():
    state = typed(go.open_filter(at(3)), "z z z")
    assert (state.listed, state.layer_index) == ((), 3)
    for step in (go.next_layer, go.previous_layer, go.next_block, go.previous_block):
        assert step(state).layer_index == 3
    assert typed(state, "backspace backspace backspace").listed == tuple(range(len(NAMES)))


def test_from_a_layer_that_is_not_listed_the_nearest_that_way_is_next():
    state = replace(at(2), folded=True)
    assert go.next_layer(state).layer.name == "res2a_y"
    assert go.previous_layer(state).layer.name == "res2a_x"


def test_the_strongest_unit_is_sought_until_it_is_known():
    sought = go.seek_strongest(at(1))
    assert sought.seeks_strongest
    found = go.found_strongest(sought, 3)
    assert (found.unit, found.in_units, found.seeks_strongest) == (3, True, False)
    none = go.found_strongest(sought, None)  # all are alike
    assert (none.unit, none.in_units, none.seeks_strongest) == (0, False, False)


@pytest.mark.parametrize("tag", ["sel_block_left", "sel_block_right"])
def test_jumps_have_a_key_that_qt_can_tell_apart(tag):
    keys = next(row.keys for row in BINDINGS if row.tag == tag)
    assert any(not key.isupper() for key in keys)
