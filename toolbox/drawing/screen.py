"""The window's buffer: draws only the panes whose inputs changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from toolbox.drawing.panes import Layout
from toolbox.pictures.images import Colour, Image


@dataclass(frozen=True)
class Drawing:
    """What a pane is to show.

    Parameters
    ----------
    pane : str
        The pane's name.
    inputs : hashable
        All that the picture depends on. While it stays equal, the pane is not
        drawn again.
    draw : callable
        Draws `inputs` into the pane's part of the buffer (uint8, RGB), and
        changes nothing else. It must paint the pane's whole area.
    """

    pane: str
    inputs: Hashable
    draw: Callable[[Image, Any], None]


class Screen:
    """One RGB buffer, divided into panes.

    Parameters
    ----------
    layout : Layout
        The panes.
    background : (int, int, int)
        RGB where there is no pane.
    clock : callable
        Returns seconds; a scripted run gives one that stands still.
    """

    def __init__(
        self, layout: Layout, background: Colour, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.layout = layout
        self.buffer: Image = layout.blank(background)
        self.times: dict[str, float] = {}
        self._drawn: dict[str, Hashable] = {}
        self._clock = clock

    def draw(self, drawings: Sequence[Drawing], between: Callable[[], None]) -> bool:
        """Draw what changed.

        Parameters
        ----------
        drawings : sequence of Drawing
            What each pane is to show; those of panes that the layout has not
            are passed over.
        between : callable
            Called after each pane that was drawn, so that keys can be polled.

        Returns
        -------
        bool
            Whether anything was drawn.
        """
        changed = False
        for drawing in drawings:
            pane = self.layout.panes.get(drawing.pane)
            if pane is None or self._is_drawn(drawing):
                continue
            begun = self._clock()
            drawing.draw(pane.of(self.buffer), drawing.inputs)
            self.times[pane.name] = 1000 * (self._clock() - begun)
            self._drawn[pane.name] = drawing.inputs
            changed = True
            between()
        return changed

    def _is_drawn(self, drawing: Drawing) -> bool:
        return drawing.pane in self._drawn and self._drawn[drawing.pane] == drawing.inputs
