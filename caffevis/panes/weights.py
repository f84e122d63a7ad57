"""A layer's weights: its filters in the places of the units, and below them how weights spread."""

from __future__ import annotations

import cv2
import numpy as np

from caffevis.net.histogram import Histogram
from caffevis.net.weights import Weights
from caffevis.panes.parts.chart import draw_chart
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.note import draw_note
from toolbox.drawing.tiles import Grid, frame_tile, plan_grid
from toolbox.pictures.images import FloatArray, Image, fill, grid_shape

FILTERS = 0.72  # of the pane's height, where there are any


def filter_grid(weights: Weights, room: tuple[int, int], columns: int = 0) -> Grid | None:
    """Say where the filters' tiles lie in a pane; None where there are none.

    `columns` are those of the layer's units, in whose places the filters stand.
    """
    if weights.filters is None:
        return None
    rows, columns = (
        (-(-len(weights.filters) // columns), columns)
        if columns
        else grid_shape(len(weights.filters), 1.0)
    )
    part = (max(1, round(FILTERS * room[0])), room[1])
    return plan_grid(weights.filters.shape[1:3], rows, columns, part)


def filter_picture(values: FloatArray) -> Image:
    """Draw a filter (h, w, 3): zero mid grey, scaled by its largest absolute weight."""
    largest = float(np.abs(values).max())
    scaled = values * (127.5 / largest if largest > 0 else 0.0) + 127.5
    return np.asarray(np.rint(scaled).clip(0, 255), np.uint8)


def draw(
    canvas: Image, weights: Weights, look: Look, selected: int | None = None, columns: int = 0
) -> None:
    """Draw the filters, the selected one framed, and the histogram; or why there is nothing."""
    fill(canvas, look.background)
    if weights.why:
        draw_note(canvas, (weights.why,), look.note)
        return
    grid, top = filter_grid(weights, (canvas.shape[0], canvas.shape[1]), columns), 0
    if grid is not None and weights.filters is not None:
        top = round(FILTERS * canvas.shape[0])
        for unit, values in enumerate(weights.filters):
            row, column = grid.corner(unit)
            small = cv2.resize(
                filter_picture(values), (grid.width, grid.height), interpolation=cv2.INTER_NEAREST
            )
            part = canvas[row : row + grid.height, column : column + grid.width]
            part[:] = small[: part.shape[0], : part.shape[1]]
        if selected is not None and selected < len(weights.filters):
            frame_tile(canvas, grid, selected, look.cursor)
    counted = Histogram(weights.width, weights.first, weights.counts, 1)
    draw_chart(canvas[top:], counted, look, f"{weights.about()}; log")
