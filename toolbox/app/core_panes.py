"""What the window itself draws: input, status line, help and debug overlays.

Each function draws its inputs into a canvas and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolbox.app.bindings import Bindings
from toolbox.drawing.panes import Layout
from toolbox.drawing.text import Style, draw_text, plain, shorten, wrap_text
from toolbox.input.frame import Frame
from toolbox.pictures.images import Colour, Image, draw_fitted, fill, side_by_side, to_colour
from toolbox.settings.config import Settings

SLACK = 0.95  # letters are of whole pixels, and may become wider than they are scaled
HELP_COLUMNS = (1, 2)  # whichever has the larger letters
HELP_SIZES = tuple(0.98**number for number in range(120))  # of the help's letters, tried in turn
NOTES_HEADING = "Also in the terminal, to be copied from there"
HELP_DARKNESS = 0.22  # how much of the picture shines through behind the help
HEADING, SMALLEST_HEADING = 0.65, 0.55  # of a label's size; and OpenCV's font scale at least
STATUS_SHRINK = 12  # twentieths of its size that the status line keeps at least


def style_from(settings: Settings, prefix: str, colour: str = "clr", thick: str = "thick") -> Style:
    """Collect a text style from the settings `<prefix>_face`, `_fsize`, `_<colour>`, `_<thick>`.

    The size grows with the window, and the strokes with the size.
    """
    return Style(
        face=getattr(settings, f"{prefix}_face"),
        size=getattr(settings, f"{prefix}_fsize") * settings.global_scale,
        colour=to_colour(getattr(settings, f"{prefix}_{colour}")),
        thickness=getattr(settings, f"{prefix}_{thick}"),
    )


def heading_style(settings: Settings) -> Style | None:
    """Take the labels' style for the panes' headings; None where these are off."""
    if not settings.pane_headings:
        return None
    style = style_from(settings, "caffevis_label")
    return replace(style, size=max(HEADING * style.size, min(style.size, SMALLEST_HEADING)))


def place_from(settings: Settings, name: str) -> tuple[int, int]:
    """Read a place setting as x and y, scaled with the window."""
    row, column = getattr(settings, name)
    return round(column * settings.global_scale), round(row * settings.global_scale)


@dataclass(frozen=True)
class InputView:
    """The frame to show, None before the first."""

    frame: Frame | None
    background: Colour


def draw_input(canvas: Image, view: InputView) -> None:
    """Draw the frame that the other panes belong to; of a pair both pictures."""
    fill(canvas, view.background)
    if view.frame is not None:
        draw_fitted(canvas, side_by_side(view.frame.images))


@dataclass(frozen=True)
class StatusView:
    """The status line's text and how to draw it."""

    text: str
    style: Style
    place: tuple[int, int]
    background: Colour


def draw_status(canvas: Image, view: StatusView) -> None:
    """Draw the status line, smaller where it is too long, and cut off with dots at last."""
    fill(canvas, view.background)
    x, y = view.place
    room = canvas.shape[1] - 2 * x
    share = room / max(1, view.style.width(plain(view.text)))
    # In steps: a frame rate's digits must not make the whole line tremble.
    steps = range(max(STATUS_SHRINK, min(20, int(20 * share))), STATUS_SHRINK - 1, -1)
    styles = [view.style.scaled(step / 20) for step in steps]
    fitting = (style for style in styles if style.width(plain(view.text)) <= room)
    style = next(fitting, styles[-1])
    draw_text(canvas, shorten(view.text, style, room), style, x, y)


@dataclass(frozen=True)
class _HelpText:
    """The help's lines in a size at which all fit.

    Parameters
    ----------
    columns : int
        Side by side, that the rows are in.
    style : Style
        Of the rows.
    step : int
        Pixels from one line to the next.
    notes : tuple of str
        Lines below the rows, over the whole width; the first is their heading.
    """

    columns: int
    style: Style
    step: int
    notes: tuple[str, ...]


def draw_help(
    buffer: Image, bindings: Bindings, settings: Settings, notes: Sequence[str] = ()
) -> None:
    """Draw the help overlay over the whole window, from the bindings' rows.

    Parameters
    ----------
    buffer : ndarray of uint8, shape (h, w, 3)
        A copy of the window's buffer; changed in place.
    bindings : Bindings
        All rows, with a heading for each section.
    settings : Settings
        `help_...`: place, font, colour. The text shrinks where it would not fit.
    notes : sequence of str
        What apps have to say at length, below the rows; never cut off.
    """
    height, width = buffer.shape[:2]
    row, column, rows, columns = settings.help_pane_loc
    top, left = int(row * height), int(column * width)
    canvas = buffer[top : top + int(rows * height), left : left + int(columns * width)]
    canvas[:] = (canvas * HELP_DARKNESS).astype(np.uint8)
    x, y = place_from(settings, "help_loc")
    lines = _help_lines(bindings)
    fitted = [_fit_help(lines, notes, canvas, settings, columns) for columns in HELP_COLUMNS]
    found = max(fitted, key=lambda each: each.style.size)
    style, step = found.style, found.step
    bold = replace(style, thickness=style.thickness + 1)
    rows, wide = -(-len(lines) // found.columns), canvas.shape[1] // found.columns
    tab = _tab(lines, style)
    for index, (keys, text) in enumerate(lines):
        column, row = divmod(index, rows)
        left, baseline = x + column * wide, y + row * step
        if keys:
            draw_text(canvas, keys, style, left, baseline)
            text = shorten(text, style, wide - tab - x)
            draw_text(canvas, text, style, left + tab, baseline)
        else:
            draw_text(canvas, text, bold, left, baseline)
    for number, text in enumerate(found.notes):
        draw_text(canvas, text, style if number else bold, x, y + (rows + number) * step)


def _help_lines(bindings: Bindings) -> list[tuple[str, str]]:
    """List keys and help for each row; a heading has no keys."""
    lines: list[tuple[str, str]] = []
    for heading, rows in bindings.sections:
        lines.append(("", heading))
        lines += [(row.label(), row.help) for row in rows]
    return lines


def _tab(lines: Sequence[tuple[str, str]], style: Style) -> int:
    return max(style.width(keys) for keys, _ in lines if keys) + style.width("mm")


def _fit_help(
    lines: Sequence[tuple[str, str]],
    notes: Sequence[str],
    canvas: Image,
    settings: Settings,
    columns: int,
) -> _HelpText:
    """Choose the largest size at which all lines fit into columns, and notes below them."""
    style = style_from(settings, "help")
    x, y = place_from(settings, "help_loc")
    step = style.height() + settings.help_line_spacing * settings.global_scale
    longest = _tab(lines, style) + max(style.width(text) for _, text in lines)
    across = canvas.shape[1] / columns - 2 * x
    begun = min(1.0, SLACK * across / longest if columns > 1 else 1.0)
    paragraphs = [part for note in notes for part in note.splitlines()]
    rows, below = -(-len(lines) // columns), list[str]()
    for shrink in (begun * part for part in HELP_SIZES):
        if paragraphs:
            room, small = canvas.shape[1] - 2 * x, style.scaled(shrink)
            wrapped = (wrap_text(text, small, room) for text in paragraphs)
            below = [NOTES_HEADING, *(line for each in wrapped for line in each)]
        if (rows + len(below)) * step * shrink <= canvas.shape[0] - y:
            break
    return _HelpText(columns, style.scaled(shrink), max(1, int(step * shrink)), tuple(below))


def draw_debug(buffer: Image, layout: Layout, times: dict[str, float], style: Style) -> None:
    """Draw each pane's border and name, with the milliseconds its last drawing took.

    Parameters
    ----------
    buffer : ndarray of uint8, shape (h, w, 3)
        A copy of the window's buffer; changed in place.
    layout : Layout
        The panes.
    times : dict of str to float
        Milliseconds by pane; panes without an entry show only their name.
    style : Style
        Of the names; its colour is the borders' too.
    """
    for pane in layout.panes.values():
        canvas = pane.of(buffer)
        canvas[0], canvas[-1], canvas[:, 0], canvas[:, -1] = (style.colour,) * 4
        if pane.name == "caffevis_status":
            continue  # its text has the timings
        text = pane.name + (f" {times[pane.name]:.1f} ms" if pane.name in times else "")
        text = shorten(text, style, pane.width - 8)
        # At the right end, on a dark ground: there it hides least of what it is drawn over.
        width, height = style.width(text) + 8, min(style.height() + 4, pane.height - 2)
        band = canvas[-height - 1 : -1, -width - 1 : -1]
        band[:] = band // 6
        draw_text(canvas, text, style, pane.width - width + 2, pane.height - style.depth() - 2)
