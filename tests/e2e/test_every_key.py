"""Every key of the table in the real window: which panes it changes, and to what.

Each row of the bindings has a case here; a row without one fails. After a press the window
must show, pane by pane, the picture that a script of the same keys makes (the status line
apart, which shows a frame rate in the window), and exactly the panes named must have changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from toolbox.app.core import CORE_BINDINGS
from toolbox.pictures.image_file import read_image

ROWS = {row.tag: row for row in (*CORE_BINDINGS, *CaffeVisApp.bindings)}

# What xdotool calls the keys whose label is another.
KEYSYMS = {
    "left": "Left", "right": "Right", "up": "Up", "down": "Down", "pgup": "Prior",
    "pgdn": "Next", "esc": "Escape", ",": "comma", ".": "period", "/": "slash",
    ";": "semicolon", "[": "bracketleft", "]": "bracketright", "-": "minus", "enter": "Return",
    "backspace": "BackSpace", "=": "equal", "f4": "F4",
    "'": "apostrophe", "home": "Home", "\\": "backslash", "end": "End", "insert": "Insert",
    "f2": "F2", "f8": "F8", "f3": "F3", "f6": "F6", "f7": "F7",
}  # fmt: skip

UNIT = "o down right "  # the cursor on a unit of the second layer


@dataclass(frozen=True)
class Case:
    """What to press before the key, and what the key changes.

    Parameters
    ----------
    before : str
        Keys as for `--keys`.
    changes : set of str
        The panes that differ afterwards; the status line may.
    """

    before: str
    changes: set[str]


CASES = {
    "freeze_cam": Case("", set()),
    "static_file_increment": Case("", {"input", "aux", "layers"}),
    "static_file_decrement": Case("", {"input", "aux", "layers"}),
    "stretch_mode": Case("", {"input", "aux", "layers"}),
    "help_mode": Case("", {"input", "aux", "back", "layers", "jpgvis"}),
    "debug_level": Case("", set()),
    "save_picture": Case("", set()),  # what it saves: test_record.py
    "sel_left": Case(UNIT, {"aux", "layers", "jpgvis"}),
    "sel_right": Case(UNIT, {"aux", "layers", "jpgvis"}),
    "sel_up": Case(UNIT, {"aux", "layers", "control", "jpgvis"}),
    "sel_down": Case(UNIT, {"aux", "layers", "jpgvis"}),
    "sel_left_fast": Case(UNIT + "right right right", {"aux", "layers", "jpgvis"}),
    "sel_right_fast": Case(UNIT, {"aux", "layers", "jpgvis"}),
    "sel_down_fast": Case("o down", {"aux", "layers", "jpgvis"}),
    "sel_up_fast": Case("o down", {"aux", "layers", "control", "jpgvis"}),
    "sel_layer_left": Case(UNIT, {"aux", "layers", "control"}),  # the two share their images
    "sel_layer_right": Case(UNIT, {"aux", "layers", "control", "jpgvis"}),
    # No layer of this network has a block, so that each is one of its own.
    "sel_block_left": Case(UNIT, {"aux", "layers", "control"}),
    "sel_block_right": Case(UNIT, {"aux", "layers", "control", "jpgvis"}),
    "fold_layers": Case("3 p o o l enter", set()),  # none repeats another: test_state.py has some
    "filter_layers": Case("o", {"control"}),
    "strongest_unit": Case("o", {"aux", "layers", "control", "jpgvis"}),
    "zoom_mode": Case(UNIT, {"layers"}),
    "ez_back_mode_loop": Case(UNIT, {"back"}),
    "back_mode": Case(UNIT, {"back"}),
    "back_filt_mode": Case(UNIT + "n", {"back"}),
    "freeze_back_unit": Case(UNIT + "n", {"control"}),  # the cursor's frame hides the frozen one
    "show_back": Case(UNIT, {"aux", "back", "layers"}),
    "boost_gamma": Case(UNIT, {"aux", "layers"}),
    "boost_individual": Case(UNIT, {"aux", "layers"}),
    "toggle_label_predictions": Case("", {"aux"}),
    "live_ascent": Case(UNIT, {"jpgvis"}),
    "from_picture": Case(UNIT, {"jpgvis"}),
    "keep_images": Case(UNIT, set()),  # what it writes: tests/caffevis/live
    "pattern_mode": Case(UNIT, {"layers"}),
    "toggle_unit_jpgs": Case(UNIT, {"jpgvis"}),
    "whole_layer": Case(UNIT, {"input"}),
    "weights": Case(UNIT, {"layers"}),
    "unit_card": Case(UNIT, {"jpgvis"}),
    "colour_map": Case(UNIT, {"aux", "layers"}),
    "input_overlay": Case(UNIT, {"input"}),
    "receptive_field": Case(UNIT, {"input"}),
    "top_activations": Case(UNIT, {"input", "aux", "layers"}),
    "histogram": Case(UNIT, {"aux"}),
    "lesion": Case(UNIT, {"aux", "back", "layers"}),
    "undo_all": Case(UNIT + "space", {"aux", "back", "layers"}),
    "who_matters": Case(UNIT, {"back", "layers"}),
    "next_ranked": Case("o f2", {"control", "aux", "layers", "jpgvis"} | {"back"}),
    "where_from": Case(UNIT, {"back"}),
    "follow_down": Case("o o down right f4", {"aux", "back", "layers", "control", "jpgvis"}),
    "disturb": Case(UNIT, {"input", "aux", "back", "layers"}),
    "disturb_more": Case(UNIT + "'", {"input", "aux", "back", "layers"}),
    "occlusion_map": Case(UNIT, {"input"}),
    "reset_state": Case(UNIT + "n z t", {"aux", "back", "layers", "control", "jpgvis"}),
}


def is_plain(label: str) -> bool:
    """Tell whether Qt's HighGUI tells a key apart: it reports capitals as small letters."""
    return len(label) > 1 or not label.isupper()


PRESSES = [
    pytest.param(tag, key, id=f"{tag}-{key}")
    for tag, row in ROWS.items()
    for key in row.keys
    if is_plain(key) and tag not in ("quit", "toggle_input_mode")
]


def test_every_row_has_a_case():
    # q is tried where the process must end, c where the camera is missing: test_window.py.
    assert set(CASES) == set(ROWS) - {"quit", "toggle_input_mode"}
    assert all(any(is_plain(key) for key in row.keys) for row in ROWS.values())


@pytest.mark.parametrize(("tag", "key"), PRESSES)
def test_a_key_changes_its_panes(shared_session, in_process, tmp_path, tag, key):
    session, case = shared_session, CASES[tag]
    prepared, scripted = (
        picture_of(in_process, tmp_path / "out.png", keys)
        for keys in (case.before, f"{case.before} {key}")
    )
    session.press(*keysyms(case.before))
    before = until_as_scripted(session, prepared)
    session.press(*keysyms(key))
    after = until_as_scripted(session, scripted)
    try:
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        assert changed - {"status"} == case.changes
        assert differing(session, after, scripted) == []
    finally:
        undo(session, tag)


_scripted: dict[str, np.ndarray] = {}  # many cases begin with the same keys


def picture_of(in_process, out, keys: str) -> np.ndarray:
    if keys not in _scripted:
        assert in_process("--headless", "--keys", keys, "--screenshot", out).code == 0
        _scripted[keys] = read_image(out)
    return _scripted[keys]


def differing(session, panes, scripted) -> list[str]:
    """Name the panes that are not as a script made them; the status line may differ."""
    places = {name: place for name, place in session.PANES.items() if name != "status"}
    return [n for n, place in places.items() if not np.array_equal(panes[n], scripted[place])]


def until_as_scripted(session, scripted) -> dict[str, np.ndarray]:
    """Return the panes when they are as scripted, or as they are after some patience.

    On an overloaded machine the picture may stand still before the key has arrived.
    """
    for _ in range(10):
        panes = session.quiet()
        if not differing(session, panes, scripted):
            break
    return panes


def keysyms(keys: str) -> list[str]:
    return [KEYSYMS.get(key, key) for key in keys.split()]


def undo(session, tag: str) -> None:
    """Bring the window back to its start, so that cases do not depend on one another."""
    presses = {
        "static_file_increment": ["w"], "static_file_decrement": ["e"], "stretch_mode": ["0"],
        "help_mode": ["h"], "debug_level": ["5", "5"], "freeze_cam": ["f"],
        "filter_layers": ["Return"], "live_ascent": ["Escape"], "from_picture": ["Escape"],
    }  # fmt: skip
    session.press(*presses.get(tag, []), "Escape")
