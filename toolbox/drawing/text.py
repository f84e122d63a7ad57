"""Text in panes: styles from the settings, lines of coloured spans, wrapping."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from toolbox.pictures.images import Colour, Image

SMALL = 1.3  # font scale up to which bold letters are made of thin strokes
TINY = 11  # pixels that a capital is high; below it strokes are finer than a pixel
FINE = 4  # how many times larger such text is drawn before it is made small
BOLDER = 1.3  # strokes of half a pixel would be pale
ONE_STROKE = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN)  # clear at any size


@dataclass(frozen=True)
class Style:
    """How text looks.

    Parameters
    ----------
    face : int
        A `cv2.FONT_...` constant.
    size : float
        OpenCV's font scale.
    colour : (int, int, int)
        RGB, 0 to 255.
    thickness : int
        Stroke width in pixels.
    """

    face: int
    size: float
    colour: Colour
    thickness: int = 1

    def with_colour(self, colour: Colour) -> Style:
        """Return the same style in another colour."""
        return replace(self, colour=colour)

    def width(self, text: str) -> int:
        """Measure a text in pixels."""
        return int(cv2.getTextSize(text, self.face, self.size, self.thickness)[0][0])

    def height(self) -> int:
        """Height of a line in pixels, from the top of an `H` to below a `g`."""
        (_, above), below = cv2.getTextSize("Hg", self.face, self.size, self.thickness)
        return int(above + below)

    def above(self) -> int:
        """Height of a capital in pixels."""
        return int(cv2.getTextSize("H", self.face, self.size, self.thickness)[0][1])

    def depth(self) -> int:
        """Pixels from the baseline down to the end of a `g`."""
        return int(cv2.getTextSize("Hg", self.face, self.size, self.thickness)[1]) + 1


@dataclass(frozen=True)
class Span:
    """A piece of text in one style."""

    text: str
    style: Style


def plain(text: str) -> str:
    """Spell a text with the letters that OpenCV's fonts have (ASCII).

    Accents are dropped, other letters become `?`, line breaks become spaces.
    """
    if text.isascii() and text.isprintable():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    printable = "".join(letter if letter.isprintable() else " " for letter in kept)
    return printable.encode("ascii", "replace").decode("ascii")


def shorten(text: str, style: Style, room: int) -> str:
    """Cut a text that is wider than the room, and end it in dots."""
    text = plain(text)
    if style.width(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if style.width(text[:middle].rstrip() + "...") <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "..."


def wrap_text(text: str, style: Style, room: int) -> list[str]:
    """Break a text into lines that fit a width.

    Parameters
    ----------
    text : str
        Words with spaces between them; a word that is too long is broken, behind
        a slash where it has one.
    style : Style
        Font and size.
    room : int
        Width of a line in pixels.

    Returns
    -------
    list of str
        At least one line, each of at least one letter unless the text is empty.
    """
    lines = [""]
    for word in plain(text).split():
        joined = f"{lines[-1]} {word}".strip()
        if style.width(joined) <= room:
            lines[-1] = joined
            continue
        pieces = _break_word(word, style, room)
        lines = [*(lines if lines[-1] else []), *pieces]
    return lines


def _break_word(word: str, style: Style, room: int) -> list[str]:
    pieces = []
    while style.width(word) > room and len(word) > 1:
        fitting = next((n for n in range(len(word) - 1, 1, -1) if style.width(word[:n]) <= room), 1)
        slash = word.rfind("/", 0, fitting) + 1
        at = slash if slash > fitting // 3 else fitting
        pieces.append(word[:at])
        word = word[at:]
    return [*pieces, word]


def draw_text(canvas: Image, text: str, style: Style, x: int, y: int) -> int:
    """Draw one line of text.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Changed in place; what lies outside is cut off.
    text : str
        Any letters; see `plain`.
    style : Style
        Font, size, colour.
    x, y : int
        Left end of the baseline, in pixels.

    Returns
    -------
    int
        x after the text.
    """
    text = plain(text)
    if style.face not in ONE_STROKE and style.above() < TINY:
        _blend(canvas, *_ink(text, style.face, style.size, style.thickness), style.colour, x, y)
        return x + style.width(text)
    # A thick pen fills the loops of small letters; strokes side by side leave them open.
    pen, strokes = (1, style.thickness) if style.size <= SMALL else (style.thickness, 1)
    for offset in range(strokes):
        where = (x + offset, y)
        cv2.putText(canvas, text, where, style.face, style.size, style.colour, pen, cv2.LINE_AA)
    return x + style.width(text)


@lru_cache(maxsize=256)
def _ink(text: str, face: int, size: float, thickness: int) -> tuple[Image, int]:
    """Draw small text large and shrink it, so that the letters' loops stay open.

    Returns
    -------
    (ndarray of uint8, shape (h, w), int)
        How much of each pixel is covered, 255 for all of it, with a margin of a pixel
        around; and the rows above the baseline.
    """
    pen = FINE // 2
    (width, above), below = cv2.getTextSize(text, face, size * FINE, pen)
    columns = -(-(width + pen * thickness) // FINE) + 2
    rows, deep = -(-above // FINE) + 2, -(-below // FINE) + 2
    large = np.zeros(((rows + deep) * FINE, columns * FINE), np.uint8)
    for stroke in range(thickness):
        where = (FINE + pen * stroke, rows * FINE)
        cv2.putText(large, text, where, face, size * FINE, 255, pen, cv2.LINE_8)
    small = cv2.resize(large, (columns, rows + deep), interpolation=cv2.INTER_AREA)
    covered = cv2.convertScaleAbs(small, alpha=BOLDER)
    covered.setflags(write=False)
    return covered.astype(np.uint8, copy=False), rows


def _blend(canvas: Image, ink: Image, rows: int, colour: Colour, x: int, y: int) -> None:
    """Lay ink over a canvas, with the left end of its baseline at x and y."""
    top, left = y - rows, x - 1
    part = canvas[max(0, top) : max(0, top + ink.shape[0])]
    part = part[:, max(0, left) : max(0, left + ink.shape[1])]
    if not part.size:
        return
    ink = ink[max(0, -top) :, max(0, -left) :][: part.shape[0], : part.shape[1]]
    ground = cv2.multiply(part, cv2.merge([255 - ink] * 3), scale=1 / 255)
    letters = cv2.merge([cv2.convertScaleAbs(ink, alpha=level / 255) for level in colour])
    part[:] = cv2.add(ground, letters)


def draw_lines(canvas: Image, lines: Sequence[Sequence[Span]], x: int, y: int, spacing: int) -> int:
    """Draw lines of spans one below the other.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Changed in place.
    lines : sequence of sequences of Span
        The text; an empty line still takes its height.
    x, y : int
        Left end of the first baseline.
    spacing : int
        Pixels between lines, besides their height.

    Returns
    -------
    int
        The baseline after the last line.
    """
    height = 0
    for line in lines:
        at = x
        for span in line:
            at = draw_text(canvas, span.text, span.style, at, y)
        height = max([span.style.height() for span in line], default=height)
        y += height + spacing
    return y


def widest(span: Span) -> int:
    """Measure the room a word takes in a row, in pixels.

    Bold words must not push their neighbours about when the cursor moves, so
    every word takes the room of its widest form.
    """
    bold = max(2, round(2 * span.style.size), span.style.thickness)
    return replace(span.style, thickness=bold).width(plain(span.text))


def wrap_spans(spans: Sequence[Span], gap: int, room: int) -> list[list[tuple[int, Span]]]:
    """Break a row of words into lines that fit a width.

    Parameters
    ----------
    spans : sequence of Span
        Words, kept whole.
    gap : int
        Pixels between words.
    room : int
        Width of a line in pixels.

    Returns
    -------
    list of lists of (int, Span)
        For each line its words with their x, counted from the line's start.
    """
    lines: list[list[tuple[int, Span]]] = [[]]
    x = 0
    for span in spans:
        width = widest(span)
        if x and x + width > room:
            lines.append([])
            x = 0
        lines[-1].append((x, span))
        x += width + gap
    return lines
