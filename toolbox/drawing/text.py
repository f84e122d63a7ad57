"""Text in panes: styles from the settings, lines cut or wrapped to a width, drawing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from toolbox.drawing.fonts import (
    CAPITAL,
    DESCENT,
    Mask,
    bolder,
    pixel_size,
    word_mask,
    word_width,
)
from toolbox.pictures.images import Colour, Image


@dataclass(frozen=True)
class Style:
    """How text looks.

    Parameters
    ----------
    face : int
        A `cv2.FONT_...` constant, for its size; see `fonts`.
    size : float
        OpenCV's font scale.
    colour : (int, int, int)
        RGB, 0 to 255.
    thickness : int
        1 for the font's own strokes, 2 for bold ones.
    """

    face: int
    size: float
    colour: Colour
    thickness: int = 1

    def with_colour(self, colour: Colour) -> Style:
        """Return the same style in another colour."""
        return replace(self, colour=colour)

    def scaled(self, factor: float) -> Style:
        """Return the same style in another size."""
        return replace(self, size=self.size * factor)

    @property
    def pixels(self) -> float:
        """The font's size in pixels."""
        return pixel_size(self.face, self.size)

    def width(self, text: str) -> int:
        """Measure a text in pixels."""
        size = self.pixels
        words = text.split(" ")
        inner = sum(word_width(word, size) for word in words if word)
        bold = round(bolder(size, self.thickness)) if text else 0
        return inner + (len(words) - 1) * word_width(" ", size) + bold

    def height(self) -> int:
        """Height of a line in pixels, from the top of an `H` to below a `g`."""
        return self.above() + self.depth()

    def above(self) -> int:
        """Height of a capital in pixels."""
        return round(self.pixels * CAPITAL)

    def depth(self) -> int:
        """Pixels from the baseline down to the end of a `g`."""
        return round(self.pixels * DESCENT) + 1


class _Folders:
    """Whether texts are drawn without the folders in them, and which are known beforehand."""

    hidden = False
    known: tuple[str, ...] = ()


# A path from the root, up to its last part; o/u and inception_4a/1x1 are none.
_FOLDER = re.compile(r"""(?<![^\s'"(=,;:])(?:[A-Za-z]:)?[/\\](?=[\w.~-])(?:[^\s/\\'"]+[/\\])*""")


@contextmanager
def folders_hidden(known: Sequence[str | Path] = ()) -> Iterator[None]:
    """Draw texts with files' names instead of their paths, for viewers of another machine.

    Parameters
    ----------
    known : sequence of path
        Folders that are left out wherever they occur, even with spaces in their names.
    """
    before = (_Folders.hidden, _Folders.known)
    longest_first = sorted(map(str, known), key=len, reverse=True)
    _Folders.hidden = True
    _Folders.known = tuple(folder for folder in longest_first if len(folder) > 1)
    try:
        yield
    finally:
        _Folders.hidden, _Folders.known = before


def _without_folders(text: str) -> str:
    for folder in _Folders.known:
        text = text.replace(folder, "")
    return _FOLDER.sub("", text)


def plain(text: str) -> str:
    """Spell a text with the letters that the font has (ASCII).

    Accents are dropped, other letters become `?`, line breaks become spaces; within
    `folders_hidden`, paths lose their folders.
    """
    if _Folders.hidden:
        text = _without_folders(text)
    if text.isascii() and text.isprintable():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    printable = "".join(letter if letter.isprintable() else " " for letter in kept)
    return printable.encode("ascii", "replace").decode("ascii")


def shorten(text: str, style: Style, room: int, *, keep_end: bool = False) -> str:
    """Cut a text that is wider than the room, and end it in dots, or begin it with them."""
    text = plain(text)
    if style.width(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if style.width(_cut(text, middle, keep_end)) <= room:
            low = middle
        else:
            high = middle - 1
    return _cut(text, low, keep_end)


def _cut(text: str, letters: int, keep_end: bool) -> str:
    if keep_end:
        return "..." + text[len(text) - letters :].lstrip()
    return text[:letters].rstrip() + "..."


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
    _lay(canvas, *_letters(text, style), x, y)
    return x + style.width(text)


@lru_cache(maxsize=128)
def _letters(text: str, style: Style) -> tuple[Image, Image, int]:
    """Prepare a line, kept for the next time that its pane is drawn.

    Returns
    -------
    (ndarray of uint8, ndarray of uint8, int)
        Of shape (h, w, 3): what is left of the ground, 255 for all of it, and what is added
        to it; and the rows above the baseline.
    """
    ink, rows = _line(text, style)
    left = cv2.merge([255 - ink] * 3)
    added = cv2.merge([cv2.convertScaleAbs(ink, alpha=level / 255) for level in style.colour])
    return np.asarray(left, np.uint8), np.asarray(added, np.uint8), rows


def _line(text: str, style: Style) -> tuple[Mask, int]:
    """Put the words of a line side by side.

    Returns
    -------
    (ndarray of uint8, shape (h, w), int)
        How much of each pixel is covered, with a margin of a pixel at the left; and the rows
        above the baseline.
    """
    size, words = style.pixels, text.split(" ")
    masks = [word_mask(word, size, style.thickness) for word in words]
    width = style.width(text) + int(size / 4) + 4
    line, x = np.zeros((masks[0][0].shape[0], width), np.uint8), 0
    for word, (mask, _) in zip(words, masks, strict=True):
        part = line[:, x : x + mask.shape[1]]
        np.maximum(part, mask[:, : part.shape[1]], out=part)
        x += word_width(word, size) + word_width(" ", size)
    return line, masks[0][1]


def _lay(canvas: Image, left: Image, added: Image, rows: int, x: int, y: int) -> None:
    """Lay letters over a canvas, with the left end of their baseline at x and y."""
    top, begin = y - rows, x - 1
    part = canvas[max(0, top) : max(0, top + left.shape[0])]
    part = part[:, max(0, begin) : max(0, begin + left.shape[1])]
    if not part.size:
        return
    height, width = part.shape[:2]
    inside = slice(max(0, -top), max(0, -top) + height), slice(max(0, -begin), None)
    ground = cv2.multiply(part, left[inside][:, :width], scale=1 / 255)
    part[:] = cv2.add(ground, added[inside][:, :width])
