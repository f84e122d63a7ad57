"""Every key's effect on the state, from the table of the specification."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caffevis.keys.keymap import BINDINGS
from caffevis.keys.state import Layer, Options, Origin, State, first_state

LAYERS = (
    Layer("conv1", "c1", 10, 3, 4),
    Layer("pool1", "p1", 10, 3, 4),
    Layer("fc", "fc", 3, 1, 3),
    Layer("prob", "prob", 25, 5, 5),
)
OPTIONS = Options((0, 0.3, 0.5), (1, 0.7), fast=3)
BY_KEY = {key: row.action for row in BINDINGS for key in row.keys}


def press(keys: str, state: State | None = None) -> State:
    state = state or first_state(LAYERS, OPTIONS)
    for key in keys.split():
        state = BY_KEY[key](state)
    return state


# keys -> (layer index, unit, cursor on the units)
MOVES = {
    "": (0, 0, False),
    "right": (1, 0, False),
    "l l l l l": (3, 0, False),
    "right left left": (0, 0, False),
    "up": (0, 0, False),
    "down": (0, 0, True),
    "k right right": (0, 2, True),
    "down left": (0, 0, True),
    "down down": (0, 4, True),
    "down down right up": (0, 1, True),
    "down down right up up": (0, 1, False),
    "down right i": (0, 1, False),
    "down down down down down": (0, 9, True),
    "L": (3, 0, False),
    "L J": (0, 0, False),
    ".": (3, 0, False),
    ". ,": (0, 0, False),
    "down . . . .": (0, 9, True),
    "down . . ,": (0, 3, True),
    "down K": (0, 9, True),
    "down down down I": (0, 0, False),
    "/": (0, 0, True),
    "o o": (2, 0, False),
    "O U": (0, 0, False),
    "down o": (1, 0, True),
    "down down right o o": (2, 2, True),
    "o o o o o u": (2, 0, False),
    "right down right b n t T y d a z 8 esc": (0, 0, False),
}


@pytest.mark.parametrize("keys", MOVES)
def test_moves(keys: str):
    state = press(keys)
    assert (state.layer_index, state.unit, state.in_units) == MOVES[keys]


def test_fast_up_goes_three_rows_and_leaves_the_units_from_the_first_three():
    tall = (Layer("conv", "c", 40, 10, 4),)
    state = replace(first_state(tall, OPTIONS), in_units=True, unit=21)
    assert press(";", state).unit == 9
    state = press("; ;", state)
    assert (state.in_units, state.unit) == (False, 1)


def test_ez_back_goes_round_off_grad_norm_deconv():
    state, seen = press("down"), []
    for _ in range(5):
        seen.append((state.back_on, state.back_mode, state.back_filter) if state.back_on else None)
        state = press("b", state)
    assert seen == [
        None, (True, "grad", "raw"), (True, "grad", "norm"), (True, "deconv", "raw"), None,
    ]  # fmt: skip


def test_ez_back_goes_off_from_a_combination_that_is_not_on_its_way():
    assert not press("b m b").back_on


def test_back_mode_goes_round_off_grad_deconv_guided():
    states = [press(" ".join("n" * count)) for count in range(5)]
    modes = [s.back_on and s.back_mode for s in states]
    assert modes == [False, "grad", "deconv", "guided", False]
    assert press("n n n b") == replace(press(""), back_mode="guided")  # not on b's way: off


def test_back_mode_passes_over_what_the_network_does_not_offer():
    start = first_state(LAYERS, replace(OPTIONS, back_modes=("grad", "deconv")))
    states = [press(" ".join("n" * count), start) for count in range(4)]
    assert [s.back_on and s.back_mode for s in states] == [False, "grad", "deconv", False]


def test_back_filter_goes_round():
    filters = [press(" ".join("m" * count)).back_filter for count in range(5)]
    assert filters == ["raw", "gray", "norm", "normblur", "raw"]


def test_zoom_skips_the_back_result_while_back_is_off():
    assert [press(" ".join("z" * n)).zoom for n in range(4)] == [0, 1, 0, 1]
    assert [press("b " + " ".join("z" * n)).zoom for n in range(4)] == [0, 1, 2, 0]


def test_turning_back_off_leaves_the_enlarged_back_result():
    assert press("n z z n n n").zoom == 0


def test_back_is_wanted_only_where_a_unit_is_chosen():
    assert not press("b").wants_back
    assert press("b down").wants_back
    assert press("down d up b").wants_back
    assert not press("down").wants_back


def test_frozen_unit_stays_the_origin_while_the_cursor_moves_on():
    state = press("o down right right d left u")
    assert state.origin == Origin("pool1", 2)
    assert state.selected == Origin("conv1", 1)
    assert press("d", state).origin == Origin("conv1", 1)


def test_show_back_turns_back_on_but_not_off():
    state = press("a")
    assert state.show_back
    assert state.back_on
    state = press("a", state)
    assert not state.show_back
    assert state.back_on


def test_boosts_go_round_their_choices():
    assert [press(" ".join("t" * n)).boost_gamma for n in range(3)] == [1, 0.7, 1]
    assert [press(" ".join("T" * n)).boost_indiv for n in range(4)] == [0, 0.3, 0.5, 0]
    assert press("y") == press("T")


def test_colour_maps_go_round():
    maps = [press(" ".join("1" * count)).colour_map for count in range(5)]
    assert maps == ["gray", "viridis", "plasma", "jet", "gray"]


def test_reset_goes_back_to_the_defaults_of_the_settings():
    options = replace(OPTIONS, gamma_index=1, indiv_index=2, show_labels=False)
    start = first_state(LAYERS, options)
    assert start.boost_gamma == 0.7
    assert start.boost_indiv == 0.5
    assert press("o down right b z d a t y 8 1 v r x g esc", start) == start


def test_every_action_with_a_capital_has_a_key_that_qt_can_tell_apart():
    for row in BINDINGS:
        capitals = [key for key in row.keys if len(key) == 1 and key.isupper()]
        others = [key for key in row.keys if key not in capitals]
        assert not capitals or others, row.tag
        # Qt sends the plain letter for a capital: it must not be the only other way.
        assert all(key.lower() not in others or row.tag in SAME_AS_PLAIN for key in capitals)


SAME_AS_PLAIN = ("sel_layer_left", "sel_layer_right")


def test_keys_and_tags_are_those_of_the_specification():
    table = {
        "reset_state": "esc", "sel_left": "left j", "sel_right": "right l", "sel_up": "up i",
        "sel_down": "down k", "sel_left_fast": "J", "sel_right_fast": "L", "sel_up_fast": "I",
        "sel_down_fast": "K", "sel_layer_left": "u", "sel_layer_right": "o",
        "sel_block_left": "U [", "sel_block_right": "O ]", "fold_layers": "-",
        "filter_layers": "3", "strongest_unit": "4",
        "zoom_mode": "z", "ez_back_mode_loop": "b", "back_mode": "n", "back_filt_mode": "m",
        "freeze_back_unit": "d", "show_back": "a", "boost_gamma": "t", "boost_individual": "T",
        "toggle_label_predictions": "8", "toggle_unit_jpgs": "9", "pattern_mode": "s",
        "colour_map": "1", "input_overlay": "v", "receptive_field": "r", "top_activations": "x",
        "histogram": "g", "live_ascent": "2", "keep_images": "6", "from_picture": "7",
        "lesion": "space", "undo_all": "backspace", "who_matters": "f2", "next_ranked": "=",
        "where_from": "f4", "follow_down": "enter", "disturb": "' home",
        "disturb_more": "\\ end", "occlusion_map": "insert f8",
        "unit_card": "f3", "whole_layer": "f6", "weights": "f7",
    }  # fmt: skip
    bound = {row.tag: row.keys for row in BINDINGS}
    assert set(bound) == set(table)
    for tag, keys in table.items():
        assert set(keys.split()) <= set(bound[tag]), tag
