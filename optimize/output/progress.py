"""Progress: images done, with the time left; a bar on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

from optimize.output.notes import Notes
from toolbox.workers.heartbeat import SECONDS, Heartbeat

_FORMAT = "{desc}{percentage:3.0f}% {bar:30} {n:.0f} of {total} images [{elapsed}<{remaining}]"


class Progress:
    """Counts images, and iterations as parts of them; says every few seconds how far it is.

    Parameters
    ----------
    total : int
        How many images there are to make.
    quiet : bool
        Say nothing.
    notes : Notes, optional
        Gets what the user has to know about the images.
    every : float
        Seconds between lines, where standard error is no terminal.
    """

    def __init__(
        self,
        total: int,
        *,
        quiet: bool = False,
        notes: Notes | None = None,
        every: float = SECONDS,
    ) -> None:
        self.notes = notes or Notes()
        self._whole = 0
        self._part = 0.0
        self._total, self._text = total, ""
        self._skipped, self._begun = 0.0, time.monotonic()
        disable = True if quiet else None
        self._bar = tqdm(total=total, bar_format=_FORMAT, disable=disable, smoothing=0.1)
        # A bar is drawn again each second, so that its clock goes on in a long iteration too.
        in_log = self._bar.disable
        self._heart = Heartbeat(self._say if in_log else self._draw, every if in_log else 1.0)
        if not quiet:
            self._heart.start()

    def ticks(self, iterations: int) -> Callable[[int], None]:
        """Return what to call after each iteration, with the number of images in it."""

        def tick(images: int) -> None:
            self._part += images / iterations
            self._show()

        return tick

    def finish(self, images: int) -> None:
        """Count a batch as done, however many iterations it took."""
        if not self._part:  # made by an earlier run: it tells nothing of this one's speed
            self._skipped += images
        self._whole += images
        self._part = 0.0
        self._show()

    def name(self, text: str) -> None:
        """Say what is being made."""
        self._text = text
        self._bar.set_description_str(text + " " if text else "", refresh=False)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._heart.close()
        self._bar.close()

    def _show(self) -> None:
        self._bar.update(self._whole + self._part - self._bar.n)

    def _draw(self) -> None:
        self._bar.refresh()

    def _say(self) -> None:
        """Print how far it is, and how long the rest takes at this speed."""
        done = self._whole + self._part
        gone = time.monotonic() - self._begun
        made = done - self._skipped
        left = tqdm.format_interval(gone / made * (self._total - done)) if made > 0 else "?"
        what = f"{self._text}: " if self._text else ""
        print(f"{what}{done:.1f} of {self._total} images, {tqdm.format_interval(gone)} gone, "
              f"{left} left", file=sys.stderr, flush=True)  # fmt: skip
