"""The progress bar: images done, with the time left."""

from __future__ import annotations

from collections.abc import Callable

from tqdm import tqdm

from optimize.output.notes import Notes

_FORMAT = "{desc}{percentage:3.0f}% {bar:30} {n:.0f} of {total} images [{elapsed}<{remaining}]"


class Progress:
    """A bar that counts images, and iterations as parts of them.

    Parameters
    ----------
    total : int
        How many images there are to make.
    quiet : bool
        No bar. Where standard error is no terminal there is none anyway.

    notes : Notes, optional
        Gets what the user has to know about the images.
    """

    def __init__(self, total: int, *, quiet: bool = False, notes: Notes | None = None) -> None:
        self.notes = notes or Notes()
        self._whole = 0
        self._part = 0.0
        disable = True if quiet else None
        self._bar = tqdm(total=total, bar_format=_FORMAT, disable=disable, smoothing=0.1)

    def ticks(self, iterations: int) -> Callable[[int], None]:
        """Return what to call after each iteration, with the number of images in it."""

        def tick(images: int) -> None:
            self._part += images / iterations
            self._show()

        return tick

    def finish(self, images: int) -> None:
        """Count a batch as done, however many iterations it took."""
        self._whole += images
        self._part = 0.0
        self._show()

    def name(self, text: str) -> None:
        """Say what is being made."""
        self._bar.set_description_str(text + " " if text else "", refresh=False)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _show(self) -> None:
        self._bar.update(self._whole + self._part - self._bar.n)
