"""What the keys about causes change, and that all of it goes away again."""

from __future__ import annotations

import pytest

from caffevis.keys import causes as ca
from caffevis.keys import causes_rows as go
from caffevis.keys.causes import Causes, Disturbance, Lesion, Place
from caffevis.keys.state import State
from tests.caffevis.keys.test_state import press


def test_the_lesion_key_goes_round_and_ends_where_it_began():
    state = press("down right")
    seen = []
    for _ in range(4):
        state = press("space", state)
        seen.append(state.causes.lesions)
    assert seen == [
        (Lesion("conv1", 1, ca.OFF),),
        (Lesion("conv1", 1, ca.MEAN),),
        (Lesion("conv1", 1, ca.DOUBLE),),
        (),
    ]


def test_lesions_are_of_several_units_over_layers_and_change_one_by_one():
    state = press("down space right space o o space u u left space")
    assert state.causes.lesions == (
        Lesion("conv1", 0, ca.MEAN),
        Lesion("conv1", 1, ca.OFF),
        Lesion("fc", 1, ca.OFF),
    )
    assert state.causes.of_layer("conv1") == ((0, ca.MEAN), (1, ca.OFF))
    assert state.causes.lesion("fc", 1) and not state.causes.lesion("fc", 0)


def test_without_a_unit_there_is_a_hint_and_no_lesion():
    state = press("space")
    assert state.causes.hint and not state.causes.lesions
    assert not press("down space", state).causes.hint


@pytest.mark.parametrize("key", ["backspace", "esc"])
def test_all_of_it_goes_away(key):
    state = press("down space ' f2 = insert")
    assert state.causes != Causes()
    assert press(key, state).causes == Causes()
    if key != "esc":
        assert press(key, state).in_units, "the cursor stays"


def test_the_disturbances_go_round_with_their_sizes():
    state, seen = press("'"), []
    while state.causes.disturbance is not None:
        now = state.causes.disturbance
        seen.append(now.kind)
        sizes, again = [now.size], press("\\", state)
        while again.causes.disturbance != now:
            sizes.append(again.causes.disturbance.size)
            again = press("end", again)
        assert sorted(sizes) == list(ca.BY_NAME[now.kind].sizes)
        state = press("home", state)
    assert seen == [kind.name for kind in ca.KINDS]
    assert press("\\") == press("'"), "without one, the key for the size begins with the first"


def test_reports_take_turns_and_the_same_key_ends_them():
    state = press("down f2")
    assert state.causes.report == ca.MATTERS
    state = press("f4", state)
    assert state.causes.report == ca.SOURCE
    assert press("f4", state).causes.report == ""
    assert press("f4").causes.hint


def test_the_cursor_jumps_along_the_ranking_as_often_as_the_key_was_pressed():
    state = press("o o = =")
    assert (state.causes.report, state.causes.jumps) == (ca.MATTERS, 2)
    state = go.jumped(state, (2, 0, 1))
    assert (state.in_units, state.unit, state.causes.jumps) == (True, 0, 0)
    assert go.jumped(press("=", state), (2, 0, 1)).unit == 1
    assert go.jumped(press("= =", state), (2, 0, 1)).unit == 2, "behind the last comes the first"
    assert go.jumped(press("=", state), ()).unit == 0


def test_following_goes_to_the_place_below_and_nowhere_else():
    state = press("o o down enter")
    assert state.causes.report == ca.SOURCE and not state.causes.follows, "first it is shown"
    state = press("enter", state)
    assert state.causes.follows
    place = Place("conv1", 7, 2, 3)
    there = go.followed(state, place)
    assert (there.layer.name, there.unit, there.causes.place) == ("conv1", 7, place)
    assert not there.causes.follows
    for nowhere in (None, Place("data", 0, 0, 0)):
        stays = go.followed(state, nowhere)
        assert (stays.layer.name, stays.unit, stays.causes.follows) == ("fc", 0, False)


def test_the_occluder_moves_and_the_brush_paints_lines():
    state = go.cover(with_kind(ca.OCCLUDER), (0.25, 0.75))
    assert state.causes.disturbance.at == (0.25, 0.75)
    state = with_kind(ca.DRAW)
    for at, begins in (((0.1, 0.1), True), ((0.2, 0.1), False), ((0.5, 0.5), True)):
        state = go.paint(state, at, begins)
    assert state.causes.disturbance.strokes == (((0.1, 0.1), (0.2, 0.1)), ((0.5, 0.5),))
    assert go.wipe(state).causes.disturbance.strokes == ()
    plain = press("")
    assert go.cover(plain, (0, 0)) == go.paint(plain, (0, 0), True) == go.wipe(plain) == plain


def with_kind(kind: str) -> State:
    state = press("'")
    while state.causes.disturbance.kind != kind:
        state = press("'", state)
    return state


def test_a_disturbance_says_what_it_is():
    assert Disturbance(ca.NOISE, 8).text() == "noise 8 grey levels"
    assert Disturbance(ca.STEP, 0.5).text() == "step 0.5 grey levels against the class"
