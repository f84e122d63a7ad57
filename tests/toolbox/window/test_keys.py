"""Key codes of every back end, and the bindings built on them."""

from __future__ import annotations

import pytest

from toolbox.app.bindings import Binding, BindingError, Bindings
from toolbox.app.core import CORE_BINDINGS
from toolbox.window.key_codes import LABELS, decode, describe

CODES = {
    # Qt, as seen with opencv-python 4.14 under X
    0x6A: "j", 0x31: "1", 0x2C: ",", 0x3B: ";", 0x1B: "esc", 0x20: "space",
    0xFF51: "left", 0xFF52: "up", 0xFF53: "right", 0xFF54: "down",
    0xFF55: "pgup", 0xFF56: "pgdn", 0xFFBE: "f1",
    # GTK: the X state mask above: Num Lock, Shift, Caps Lock, both
    0x100061: "a", 0x1004A | 0x10000: "J", 0x10004A: "J", 0x11004A: "J",
    0x20041: "a", 0x30061: "A", 0x10FF52: "up", 0x12FF55: "pgup", 0x10FFB7: "7",
    0x10FF9A: "pgup",
    # Win32
    0x250000: "left", 0x260000: "up", 0x270000: "right", 0x280000: "down",
    0x210000: "pgup", 0x220000: "pgdn", 0x700000: "f1", 0x4A: "J",
    # Cocoa
    63232: "up", 63233: "down", 63234: "left", 63235: "right", 63276: "pgup", 63277: "pgdn",
    # Nothing, modifiers alone, keys without a name
    -1: None, 0xFFE1: None, 0xFFE3: None, 0xFFE5: None, 0xFFE9: None, 0xFFEB: None,
    0x10FFE1: None, 0x100000: None, 0xFE03: None, 0x1008FF13: None,
}  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_code_names_its_key(code: int):
    assert decode(code) == CODES[code]


def test_describe_says_what_a_press_does():
    assert describe(0x71, {"q": "quit"}) == "0x71: q: quit"
    assert describe(0x61, {}) == "0x61: a: not bound"
    assert "ignored" in describe(0xFFE1, {})
    assert "without a name" in describe(0xABCD, {})


def make(*rows: tuple[str, str]) -> Bindings:
    return Bindings(
        [("Keys", [Binding(tuple(keys.split()), tag, "help", lambda s: s) for keys, tag in rows])]
    )


def test_rows_are_found_by_key():
    bindings = make(("a left", "one"), ("b", "two"))
    assert bindings.get("left").tag == "one"
    assert bindings.get("c") is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((("a", "one"), ("b a", "two")), "a is bound to one and to two"),
        ((("a", "one"), ("b", "one")), "one is declared twice"),
        ((("hyperspace", "one"),), "hyperspace"),
    ],
)
def test_contradicting_rows_are_errors(rows, message: str):
    with pytest.raises(BindingError, match=message):
        make(*rows)


def test_keys_on_the_command_line_are_labels_or_tags():
    bindings = make(("a left", "one"), (", J", "two"))
    assert bindings.parse_keys("left one a,a , two") == ["left", "a", "a", "a", ",", ","]
    assert bindings.parse_keys("") == []


def test_an_unknown_key_lists_the_known_ones():
    with pytest.raises(BindingError) as caught:
        make(("a left", "one"), ("b", "two")).parse_keys("a nowhere")
    assert "'nowhere'" in str(caught.value)
    assert "a left b" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_windows_own_keys_are_those_of_the_specification():
    table = {
        "freeze_cam": "f", "toggle_input_mode": "c", "static_file_increment": "e pgdn",
        "static_file_decrement": "w pgup", "stretch_mode": "0", "help_mode": "h",
        "debug_level": "5", "save_picture": "p", "quit": "q",
    }  # fmt: skip
    assert {row.tag: " ".join(row.keys) for row in CORE_BINDINGS} == table
    assert all(key in LABELS for row in CORE_BINDINGS for key in row.keys)
