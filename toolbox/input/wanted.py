"""What the window wants to see: files or camera, and which file."""

from __future__ import annotations

from dataclasses import dataclass

FILES, CAMERA = "files", "camera"


@dataclass(frozen=True)
class Wanted:
    """The part of the window's state that sources follow.

    Parameters
    ----------
    mode : str
        `FILES` or `CAMERA`.
    frozen : bool
        Whether the camera (or a video) stands still.
    position : int
        How many steps through the files were made; wraps around their number.
    direction : int
        1 or -1: where to go on when a file cannot be read.
    stretch : bool
        Stretch files to the input's shape instead of cropping them.
    """

    mode: str = FILES
    frozen: bool = False
    position: int = 0
    direction: int = 1
    stretch: bool = False
