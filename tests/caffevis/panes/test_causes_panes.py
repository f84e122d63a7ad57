"""Pictures of causes, checked where a pixel tells what it means."""

from __future__ import annotations

import numpy as np
import pytest

from caffevis.causes.asked import Account, Part, Question, Ranked, Ranking
from caffevis.keys.causes import DOUBLE, MATTERS, MEAN, OFF, SOURCE, Place
from caffevis.keys.state import Origin
from caffevis.panes.causes import account, changes, class_list, occlusion, ranking, tile_marks
from caffevis.panes.causes.changes import Change
from caffevis.panes.causes.class_list import pairs_of
from caffevis.panes.causes.rows import AGAINST, FOR
from caffevis.panes.causes.tile_marks import LESION, RANKED, Marks
from caffevis.panes.parts.look import look_from
from settings import TABLE
from toolbox.drawing.tiles import Grid
from toolbox.settings import config

LOOK = look_from(config.load(TABLE, None))
SIZES = [(300, 300), (200, 200), (60, 90), (20, 20)]


def canvas(height: int = 300, width: int = 300) -> np.ndarray:
    return np.full((height, width, 3), 51, np.uint8)


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def part(unit: int, value: float, side: int = 3) -> Part:
    kernel = np.full((side, side), value / side**2)
    return Part(unit, value, np.ones((side, side)), kernel)


ACCOUNT = Account(
    Question(SOURCE, "conv2", unit=3),
    at=Place("conv2", 3, 1, 2),
    way="relu2 (ReLU)",
    value=1.75,
    bias=0.25,
    shown=1.75,
    below="pool1",
    parts=(part(4, 2.0), part(1, -1.0)),
    rest=0.5,
    others=7,
    down=Place("conv1", 4, 3, 5),
    down_way="pool1 (Pooling), relu1 (ReLU)",
)
RANKING = Ranking(
    Question(MATTERS, "conv2"),
    Origin("fc", 1),
    9.5,
    0.75,
    (Ranked(7, 2.0, 1.9, 0.5), Ranked(2, -1.0, -0.9, 0.8), Ranked(5, 0.5, None, None)),
)


def test_marks_say_what_was_done_to_a_unit():
    grid = Grid(2, 2, 40, 40, 4)
    plain = canvas(92, 92)
    for how, crossed, struck in ((OFF, True, False), (MEAN, False, True), (DOUBLE, False, True)):
        picture = plain.copy()
        tile_marks.draw_marks(picture, grid, Marks(lesions=((1, how),)))
        tile = picture[4:44, 48:88]
        assert (tuple(tile[10, 10]) == LESION) == crossed
        assert (tuple(tile[20, 8]) == LESION) == struck
        assert (tuple(tile[8, 20]) == LESION) == (how == DOUBLE)
        assert (picture[4:44, 4:44] == 51).all(), "the others are left alone"


def test_ranks_are_bars_that_become_shorter():
    grid = Grid(1, 3, 40, 40, 4)
    picture = canvas(48, 136)
    tile_marks.draw_marks(picture, grid, Marks(ranked=(2, 0)))
    lengths = [count(picture[40:43, left : left + 40], RANKED) for left in (4, 48, 92)]
    assert lengths[2] > lengths[0] > lengths[1] == 0
    assert Marks(lesions=((1, OFF), (2, OFF))).text() == ", 2 lesions"
    assert Marks().text() == ""


def test_the_class_list_has_the_five_of_either_side():
    before = np.array([0.5, 0.2, 0.1, 0.08, 0.07, 0.05, 0.0], np.float32)
    after = np.array([0.05, 0.2, 0.1, 0.08, 0.07, 0.5, 0.0], np.float32)
    pairs = pairs_of(before, after, ("ant", "bee"))
    assert [pair.number for pair in pairs] == [0, 5, 1, 2, 3, 4]
    assert pairs[0].text == "0.50 -> 0.05 ant" and pairs[1].text == "0.05 -> 0.50 class 5"
    assert (pairs[1].before, pairs[1].after) == pytest.approx((0.05, 0.5))
    picture = canvas()
    class_list.draw_pairs(picture, pairs, LOOK)
    step = class_list.row_of(300, len(pairs))
    rows = [picture[number * step : (number + 1) * step] for number in range(2)]
    gray = [count(row, class_list.BEFORE) for row in rows]
    assert gray[0] > 5 * gray[1] > 0, "the upper bar is before"


def test_classes_without_numbers_are_drawn_as_zero():
    broken = np.array([np.nan, np.inf, 0.2], np.float32)
    pairs = pairs_of(broken, np.array([0.1, 0.2, 0.3], np.float32), ())
    assert [pair.before for pair in pairs] == pytest.approx([0.2, 0, 0])
    class_list.draw_pairs(canvas(), pairs, LOOK)


def test_the_ranking_has_a_row_a_unit_in_green_for_and_red_against():
    assert ranking.title(RANKING, ("a", "bee")) == ["9.50, p 0.75 for bee (fc:1)"]
    assert ranking.title(RANKING, ()) == ["9.50, p 0.75 for fc:1"]
    assert ranking.cells(RANKING.rows[2]) == ["5", "0.50", "-", ""]
    picture = canvas()
    ranking.draw_ranking(picture, RANKING, 2, ("a", "bee"), LOOK)
    assert count(picture, FOR) > 2 * count(picture, AGAINST) > 0
    assert count(picture, LOOK.cursor), "the selected unit's row has the cursor's colour"


def test_the_account_names_what_lies_between_and_where_it_leads():
    assert account.head(ACCOUNT) == [
        "1.750 is conv2:3 at row 1, column 2",
        "then relu2 (ReLU)",
        "from pool1:",
    ]
    assert account.foot(ACCOUNT) == [
        "7 others +0.500, bias +0.250",
        "down: conv1:4 through pool1 (Pooling), relu1 (ReLU)",
    ]
    seen, weights, product = account.pictures(ACCOUNT.parts)[1]
    assert (weights[..., 0] > weights[..., 1]).all()
    assert (product[..., 0] > product[..., 1]).all(), "below zero is red"
    picture = canvas()
    account.draw_account(picture, ACCOUNT, LOOK)
    assert count(picture, FOR) and count(picture, AGAINST)


def test_bars_of_changes_are_in_relation_to_the_largest():
    picture = canvas(100, 300)
    rows = (Change("conv1", 0.5, False), Change("conv2", 0.25, True))
    changes.draw_changes(picture, rows, LOOK)
    upper, lower = count(picture[:53], FOR), count(picture[53:], FOR)
    assert upper == pytest.approx(2 * lower, rel=0.1)
    changes.draw_changes(picture, (Change("conv1", 0.0, False),), LOOK)


@pytest.mark.parametrize("size", SIZES)
def test_every_report_is_drawn_in_small_panes_too(size):
    for draw in (
        lambda c: ranking.draw_ranking(c, RANKING, None, (), LOOK),
        lambda c: account.draw_account(c, ACCOUNT, LOOK),
        lambda c: changes.draw_changes(c, (Change("conv1", 1.5, True),) * 16, LOOK),
        lambda c: class_list.draw_pairs(c, (), LOOK),
    ):
        draw(canvas(*size))


def test_the_occlusion_map_tints_what_is_known():
    picture = np.full((90, 90, 3), 100, np.uint8)
    losses = np.full((3, 3), np.nan, np.float32)
    losses[0] = (1.0, 0.0, -0.5)
    tinted = occlusion.tinted(picture, losses).astype(int)
    lost, gained, unknown = tinted[15, 10], tinted[15, 80], tinted[75, 45]
    assert lost[0] > lost[2] + 50 and gained[2] > gained[0]
    assert (unknown == 100).all()
