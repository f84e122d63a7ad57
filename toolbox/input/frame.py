"""One picture, or a pair of them, on its way from a source to the network and the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a source; two frames are equal only if they are the same one.

    Parameters
    ----------
    id : int
        Counts up with each frame of a run, so "newer" and "same" can be told.
    image : ndarray of uint8, shape (h, w, 3)
        RGB, 0 to 255, in the aspect of the network's input.
    name : str
        File name, or what the camera is called, for the status line.
    second : ndarray of uint8, shape (h, w, 3), or None
        The other picture of a pair, for a siamese network.
    """

    id: int
    image: Image
    name: str
    second: Image | None = None

    @property
    def images(self) -> tuple[Image, ...]:
        """The one picture, or both of a pair."""
        return (self.image,) if self.second is None else (self.image, self.second)
