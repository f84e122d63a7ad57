"""Where in the picture a layer's units look: places of a map, in pixels of the net's input.

Coordinates are continuous: pixel 0 reaches from 0 to 1. The picture that a frame
shows is of the same shape as the net's input (of a pair, one of its halves, or the
same shape twice), so a place in the input is one in the picture, scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffevis.model.preprocess import ALONE, WIDTH

Span = tuple[int, int]  # first and last pixel
Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two are outside
Centres = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fields:
    """The receptive fields of a layer's units, for each row and column of their maps.

    Parameters
    ----------
    height, width : int
        Of the net's input.
    pair : str
        Of `preprocess.find_pair`: whether the input is one picture or two.
    rows, columns : tuple of (int, int)
        First and last row (column) of the input that each row (column) of a map
        sees; padding counts, so that they may lie outside. Units without a map,
        as of InnerProduct, have one of each. Empty where fields are not known:
        the net is not the bundled engine's, or its layer sees no picture.
    caution : str
        Why the fields may be larger than what the units see; else empty.
    """

    height: int
    width: int
    pair: str = ALONE
    rows: tuple[Span, ...] = ()
    columns: tuple[Span, ...] = ()
    caution: str = ""

    @property
    def known(self) -> bool:
        """Whether the fields are known."""
        return bool(self.rows and self.columns)

    def box(self, row: int, column: int) -> Box | None:
        """Return the field of a place of a map, cut off at the picture's borders.

        Parameters
        ----------
        row, column : int
            The place.

        Returns
        -------
        (int, int, int, int) or None
            Top, left, bottom, right; None where fields are not known, or the
            unit sees nothing but padding.
        """
        if not self.known:
            return None
        vertical = self.rows[min(row, len(self.rows) - 1)]
        horizontal = self.columns[min(column, len(self.columns) - 1)]
        top, bottom = max(vertical[0], 0), min(vertical[1] + 1, self.height)
        left, right = max(horizontal[0], 0), min(horizontal[1] + 1, self.width)
        return (top, left, bottom, right) if top < bottom and left < right else None

    def centres(self, shape: tuple[int, int]) -> tuple[Centres, Centres]:
        """Return where the rows and columns of a map lie in the input.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the map.

        Returns
        -------
        tuple of two ndarrays, shapes (height,) and (width,)
            The centres of the fields, increasing. Where these are not known, the
            map is spread evenly over the input.
        """
        return (
            _centres(self.rows, shape[0], self.height),
            _centres(self.columns, shape[1], self.width),
        )

    def shown_columns(self, pictures: int) -> list[Span]:
        """Say which columns of the input each picture of a frame is.

        Parameters
        ----------
        pictures : int
            How many the frame has.

        Returns
        -------
        list of (int, int)
            Begin and end for each picture that the net sees, in their order.
        """
        if self.pair == WIDTH:
            half = self.width // 2
            return [(0, half), (half, self.width)][:pictures]
        return [(0, self.width)] * (1 if self.pair == ALONE else pictures)


def _centres(spans: tuple[Span, ...], count: int, size: int) -> Centres:
    found = np.array([(first + last + 1) / 2 for first, last in spans])
    if len(found) == count and np.all(np.diff(found) > 0):
        return found
    return (np.arange(count) + 0.5) * size / count
