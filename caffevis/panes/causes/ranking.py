"""The list of those who matter: what a linear guess says of each, and what is lost without it."""

from __future__ import annotations

from caffevis.causes.asked import Ranked, Ranking
from caffevis.panes.causes.rows import (
    AGAINST,
    FOR,
    MARGIN,
    draw_bar,
    draw_columns,
    draw_title,
    fitting,
)
from caffevis.panes.parts.look import Look
from toolbox.pictures.images import Image


def title(found: Ranking, labels: tuple[str, ...]) -> list[str]:
    """Say what the units matter for."""
    if found.target is None:
        return []
    unit = found.target.unit
    name = f"{found.target.layer}:{unit}"
    if unit < len(labels):
        name = f"{labels[unit]} ({name})"
    prob = "" if found.prob is None else f", p {found.prob:.2f}"
    return [f"{found.value:.2f}{prob} for {name}"]


def cells(row: Ranked) -> list[str]:
    """Write a row of the list."""
    lost = "-" if row.effect is None else f"{row.effect:.2f}"
    prob = "" if row.prob is None else f"{row.prob:.2f}"
    return [str(row.unit), f"{row.estimate:.2f}", lost, prob]


def draw_ranking(
    canvas: Image, found: Ranking, unit: int | None, labels: tuple[str, ...], look: Look
) -> None:
    """Draw a row a unit, with a bar of what is lost without it."""
    top = draw_title(canvas, title(found, labels), look)
    height, width = canvas.shape[:2]
    head = ["unit", "act x diff", "lost if off", "p" if found.prob is not None else ""]
    step = (height - top - MARGIN) // (len(found.rows) + 1)
    style = fitting(look, ["unit act x diff lost if off p 0.00"], width - 2 * MARGIN)
    style = style.scaled(min(1.0, 0.7 * step / style.height()))
    edges = [round(width * share) - MARGIN for share in (0.46, 0.78, 1.0)]
    draw_columns(canvas, top + style.height(), head, edges, style)
    amounts = [abs(row.estimate if row.effect is None else row.effect) for row in found.rows]
    largest = max(amounts, default=0.0) or 1.0
    for number, (row, amount) in enumerate(zip(found.rows, amounts, strict=True), 1):
        y = top + number * step + style.height()
        own = style.with_colour(look.cursor) if row.unit == unit else style
        draw_columns(canvas, y, cells(row), edges, own)
        supports = (row.estimate if row.effect is None else row.effect) > 0
        box = (y + style.depth(), MARGIN, y + style.depth() + max(2, step // 8), width - MARGIN)
        draw_bar(canvas, box, amount / largest, FOR if supports else AGAINST)
