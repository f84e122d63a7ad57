"""The back pane's other uses: who matters, where a number comes from, how much layers changed."""

from __future__ import annotations

from dataclasses import dataclass

from caffevis.causes.asked import Account, Ranking
from caffevis.keys.causes import MATTERS, SOURCE
from caffevis.keys.state import State
from caffevis.model.classes import Classes
from caffevis.net.request import NetResult
from caffevis.panes import back
from caffevis.panes.causes.account import draw_account
from caffevis.panes.causes.changes import Change, changes_of, draw_changes
from caffevis.panes.causes.ranking import draw_ranking
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.note import draw_note
from toolbox.drawing.headings import with_heading
from toolbox.drawing.screen import Drawing
from toolbox.pictures.images import Image, fill


@dataclass(frozen=True)
class ReportView:
    """What is reported, or why nothing is yet.

    Parameters
    ----------
    kind : str
        `MATTERS`, `SOURCE`, or empty for the changes.
    answer : Ranking, Account or None
        To the question of that kind.
    changes : tuple of Change
        Of the layers, in their order.
    unit : int or None
        The selected unit, which the ranking marks.
    labels : tuple of str
        Of the classes.
    hint : str
        What to say instead.
    look : Look
        Colours and fonts.
    """

    kind: str
    answer: Ranking | Account | None
    changes: tuple[Change, ...]
    unit: int | None
    labels: tuple[str, ...]
    hint: str
    look: Look


def drawing(state: State, result: NetResult, classes: Classes, look: Look) -> Drawing | None:
    """Say what the back pane shows instead of a back result; None for that."""
    report = state.causes.report
    if not report and (state.back_on or result.effect is None):
        return None
    answer = result.answer if report else None
    if answer is not None and answer.question.kind != report:
        answer = None
    hint = ""
    if report == SOURCE and not state.in_units:
        hint = "choose a unit: down"
    elif answer is not None and answer.note:
        hint = answer.note
    changes = () if report else changes_of(state, result)
    unit = state.unit if state.in_units else None
    view = ReportView(report, answer, changes, unit, labels_of(answer, classes), hint, look)
    drawn = Drawing(back.PANE, view, draw)
    return with_heading(drawn, heading(view), look.heading, look.background)


def labels_of(answer: Ranking | Account | None, classes: Classes) -> tuple[str, ...]:
    """Return the labels, where the ranking is about a unit that stands for a class."""
    target = answer.target if isinstance(answer, Ranking) else None
    return classes.labels if target is not None and target.layer in classes.layers else ()


def heading(view: ReportView) -> str:
    """Name the report."""
    if view.kind == MATTERS:
        layer = view.answer.question.layer if view.answer else ""
        return f"who of {layer} matters" if layer else "who matters"
    if view.kind == SOURCE:
        return "where it comes from: exact, one layer down"
    return "change of each layer"


def draw(canvas: Image, view: ReportView) -> None:
    """Draw the report as large as the pane."""
    fill(canvas, view.look.background)
    if view.hint:
        draw_note(canvas, (view.hint,), view.look.note)
    elif not view.kind:
        draw_changes(canvas, view.changes, view.look)
    elif isinstance(view.answer, Ranking):
        draw_ranking(canvas, view.answer, view.unit, view.labels, view.look)
    elif isinstance(view.answer, Account):
        draw_account(canvas, view.answer, view.look)
    else:
        fill(canvas, view.look.stale)
