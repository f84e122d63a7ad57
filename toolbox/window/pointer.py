"""What the mouse does, as values: in the window, and in a pane of it."""

from __future__ import annotations

from dataclasses import dataclass

CLICK, RIGHT_CLICK = "click", "right click"
WHEEL_UP, WHEEL_DOWN = "wheel up", "wheel down"
MOVE, DRAG = "move", "drag"  # without and with the left button held down


@dataclass(frozen=True)
class MouseEvent:
    """A button pressed, the wheel turned, or the mouse moved.

    Parameters
    ----------
    kind : str
        `CLICK`, `RIGHT_CLICK`, `WHEEL_UP`, `WHEEL_DOWN`, `MOVE` or `DRAG`.
    x, y : int
        Where, in pixels of the window's picture.
    """

    kind: str
    x: int
    y: int


@dataclass(frozen=True)
class Pointer:
    """A mouse event as an app gets it: within a pane.

    Parameters
    ----------
    kind : str
        As of `MouseEvent`.
    pane : str
        The pane's name.
    row, column : int
        Where, in pixels from the pane's top left corner.
    room : (int, int)
        Height and width of the pane.
    """

    kind: str
    pane: str
    row: int
    column: int
    room: tuple[int, int]
