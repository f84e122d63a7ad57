"""The occlusion map over its picture: what is lost in orange, what is gained in blue."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from caffevis.causes.occlusion import OcclusionMap
from toolbox.drawing.screen import Drawing
from toolbox.pictures.images import Colour, FloatArray, Image, draw_fitted, fill, side_by_side

PANE = "input"
LOST, GAINED = (255, 120, 0), (0, 130, 255)
STRONG = 0.75  # of the colour, where most is lost
DARK = 0.55  # what is left of the picture's brightness


@dataclass(frozen=True)
class MapView:
    """A map and what is around it."""

    found: OcclusionMap
    background: Colour


def drawing(found: OcclusionMap, background: Colour) -> Drawing:
    """Say what the input pane shows."""
    return Drawing(PANE, MapView(found, background), draw)


def tinted(picture: Image, losses: FloatArray) -> Image:
    """Lay a map over a picture.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        RGB.
    losses : ndarray of float32, shape (rows, columns)
        NaN leaves the picture as it is.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Darkened, with `LOST` for positive values and `GAINED` for negative ones.
    """
    known = np.nan_to_num(losses, nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(np.abs(known).max())
    size = (picture.shape[1], picture.shape[0])
    share = cv2.resize(known / (largest or 1.0), size, interpolation=cv2.INTER_CUBIC)
    there = cv2.resize(
        np.isfinite(losses).astype(np.float32), size, interpolation=cv2.INTER_NEAREST
    )
    alpha = (STRONG * np.clip(np.abs(share), 0, 1) * there)[..., None]
    colours = np.where(share[..., None] > 0, np.array(LOST), np.array(GAINED))
    dark = picture * (1 - (1 - DARK) * there[..., None])
    return np.rint(dark * (1 - alpha) + colours * alpha).astype(np.uint8)


def draw(canvas: Image, view: MapView) -> None:
    """Draw the map's own frame with the map over each picture of it."""
    fill(canvas, view.background)
    images = view.found.request.frame.images
    height, width = draw_fitted(canvas, side_by_side(images))
    for number in range(len(images)):
        left, right = (round(width * part / len(images)) for part in (number, number + 1))
        canvas[:height, left:right] = tinted(canvas[:height, left:right], view.found.losses)
