"""What the window wants to see: files or camera, and which file."""

from __future__ import annotations

from dataclasses import dataclass

FILES, CAMERA, VIEWER = "files", "camera", "browser camera"


@dataclass(frozen=True)
class Wanted:
    """The part of the window's state that sources follow.

    Parameters
    ----------
    mode : str
        `FILES`, `CAMERA`, or `VIEWER`: the camera of a viewer's browser.
    frozen : bool
        Whether the camera (or a video) stands still.
    position : int
        How many steps through the files were made; wraps around their number.
    direction : int
        1 or -1: where to go on when a file cannot be read.
    stretch : bool
        Stretch files to the input's shape instead of cropping them.
    modes : tuple of str
        The modes that there are now, in the order that the user goes round them.
    """

    mode: str = FILES
    frozen: bool = False
    position: int = 0
    direction: int = 1
    stretch: bool = False
    modes: tuple[str, ...] = (FILES, CAMERA)
