"""Words in lines, scrolled so that one of them is in sight.

In a pane of one line the words are one long line, and the one in question is in its middle; in a
higher pane they are wrapped, and its line is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from toolbox.drawing.text import Style, plain

BOLD = 2  # every word takes the room of its bold form, so that none moves when one becomes bold


@dataclass(frozen=True)
class Word:
    """A word of the list.

    Parameters
    ----------
    text : str
        What is written.
    style : Style
        How.
    layer : int or None
        The layer it names; None for the heading of a block.
    heading : str
        The block that it belongs to, for the heading at the left end of a line.
    """

    text: str
    style: Style
    layer: int | None
    heading: str = ""

    @cached_property
    def room(self) -> int:
        """How wide it is at most, in pixels."""
        style = self.style
        return _room_of(self.text, style.face, style.size, max(BOLD, style.thickness))


@lru_cache(maxsize=4096)
def _room_of(text: str, face: int, size: float, thickness: int) -> int:
    return Style(face, size, (0, 0, 0), thickness).width(plain(text))


@dataclass(frozen=True)
class Placed:
    """A word in the pane: the left end of its baseline, in pixels."""

    word: Word
    x: int
    y: int

    def covers(self, row: int, column: int) -> bool:
        """Tell whether a pixel is within the word's line and its widest form."""
        style = self.word.style
        bottom = self.y + style.depth()
        inside = self.x <= column < self.x + self.word.room
        return inside and bottom - style.height() <= row < bottom


@dataclass(frozen=True)
class Room:
    """Where lines of words go.

    Parameters
    ----------
    width : int
        Of a line, in pixels.
    lines : int
        How many there are.
    x, y : int
        Left end of the first baseline.
    step : int
        From one baseline to the next.
    gap : int
        Between words.
    """

    width: int
    lines: int
    x: int
    y: int
    step: int
    gap: int


def wrapped(words: list[Word], room: Room) -> list[list[tuple[int, Word]]]:
    """Break words into lines, each with its x, counted from the line's begin.

    A heading goes to the next line together with the first word below it.
    """
    lines: list[list[tuple[int, Word]]] = [[]]
    x = 0
    for number, word in enumerate(words):
        needed = word.room
        if word.layer is None and number + 1 < len(words):
            needed += room.gap + words[number + 1].room
        if x and x + needed > room.width:
            lines.append([])
            x = 0
        lines[-1].append((x, word))
        x += word.room + room.gap
    return lines


def scrolled(words: list[Word], current: int, room: Room) -> list[Placed]:
    """Place words so that a layer's is in sight.

    Parameters
    ----------
    words : list of Word
        All of them.
    current : int
        The layer.
    room : Room
        Where they go.

    Returns
    -------
    list of Placed
        Those that are wholly in the room.
    """
    if room.lines == 1:
        return _one_line(words, current, room)
    lines = wrapped(words, room)
    holding = [n for n, line in enumerate(lines) if any(w.layer == current for _, w in line)]
    middle = holding[0] if holding else 0
    first = max(0, min(middle - (room.lines - 1) // 2, len(lines) - room.lines))
    return [
        Placed(word, room.x + x, room.y + number * room.step)
        for number, line in enumerate(lines[first : first + room.lines])
        for x, word in line
    ]


def _one_line(words: list[Word], current: int, room: Room) -> list[Placed]:
    """Put the current word in the middle, and the name of the first one's block at the left."""
    at: list[tuple[int, Word]] = []
    x = middle = 0
    for word in words:
        at.append((x, word))
        if word.layer == current:
            middle = x + word.room // 2
        x += word.room + room.gap
    whole = x - room.gap
    offset = max(0, min(middle - room.width // 2, whole - room.width))
    end = offset + room.width
    shown = [
        (max(0, x - offset), word)
        for x, word in at
        if word.layer == current or (x >= offset and x + word.room <= end)
    ]
    if shown and shown[0][1].layer is not None and shown[0][1].heading:
        # Its block's heading has been scrolled away: it takes the place of the first words.
        heading = next(w for w in words if w.layer is None and w.text == shown[0][1].heading)
        behind = [(x, w) for x, w in shown if x >= heading.room + room.gap or w.layer == current]
        if behind and behind[0][1].layer is not None and behind[0][1].heading == heading.text:
            shown = [(behind[0][0] - room.gap - heading.room, heading), *behind]
    return [Placed(word, room.x + x, room.y) for x, word in shown]
