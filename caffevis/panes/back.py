"""The image-space result of a back pass, in one of four filters."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from caffevis.keys.state import GRAY, NORM, RAW, State
from caffevis.net.request import NetResult
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.note import draw_note
from toolbox.drawing.text import draw_text, shorten
from toolbox.pictures.images import FloatArray, Image, draw_fitted, fill

PANE = "caffevis_back"


@dataclass(frozen=True)
class BackView:
    """The result whose back image to show, or why there is none.

    Parameters
    ----------
    result : NetResult or None
        None while back is off or its result is not there yet.
    wanted : bool
        Whether a result is being computed.
    hint : str
        What to say instead of a picture.
    filter : str
        Of `state.BACK_FILTERS`.
    look : Look
        Colours and fonts.
    """

    result: NetResult | None
    wanted: bool
    hint: str
    filter: str
    look: Look


def view(state: State, result: NetResult | None, look: Look) -> BackView:
    """Take from state and result what the pane shows."""
    there = result is not None and result.back_image is not None
    hint = "choose a unit: down" if state.back_on and not state.wants_back else ""
    shown = result if there and state.wants_back else None
    return BackView(shown, state.wants_back, hint, state.back_filter, look)


def filtered(diff: FloatArray, how: str, blur_radius: float) -> Image:
    """Turn an input diff into a picture.

    Parameters
    ----------
    diff : ndarray of float32, shape (h, w, 3 or 1)
        Channels in RGB order; of a pair both, shape (2, h, w, 3 or 1).
    how : str
        `raw`: each channel, zero mid grey, scaled by the largest absolute
        value; `gray`: the same of the mean over channels; `norm`: L2 norm over
        channels, minimum black, maximum white; `normblur`: that, blurred.
    blur_radius : float
        Standard deviation of the blur, in pixels of the input.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB; a pair side by side, scaled together.
    """
    finite = np.isfinite(diff.sum())
    values = diff if finite else np.nan_to_num(diff, nan=0.0, posinf=0.0, neginf=0.0)
    if how in (RAW, GRAY):
        signed = values if how == RAW else values.mean(axis=-1, keepdims=True)
        top = max(float(signed.max()), -float(signed.min()))
        unit = signed * (0.5 / top if top > 0 else 0)
        unit += 0.5
    else:
        norm = np.sqrt((values * values).sum(axis=-1))
        if how != NORM:
            norm = _blurred(norm, blur_radius)
        low, high = float(norm.min()), float(norm.max())
        unit = ((norm - low) / (high - low) if high > low else np.zeros_like(norm))[..., None]
    unit *= 255
    unit += 0.5
    pixels = unit.astype(np.uint8)
    if pixels.ndim == 4:
        pixels = np.concatenate(list(pixels), axis=1)
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def _blurred(norm: FloatArray, radius: float) -> FloatArray:
    """Blur a map, or each of a pair, so that none runs into the other."""
    maps = norm if norm.ndim == 3 else norm[None]
    blurred = [cv2.GaussianBlur(one, (0, 0), radius) for one in maps]
    return np.asarray(blurred, dtype=np.float32).reshape(norm.shape)


def _nothing(result: NetResult) -> str:
    """Say why a back image is zero everywhere."""
    back = result.request.back
    where = "" if back is None else f" from {back.origin.layer}:{back.origin.unit}"
    return f"nothing goes back{where}: it is silent in this picture, or what is below it is"


def heading(view: BackView) -> str:
    """Say which back result is shown."""
    if view.result is None or view.result.request.back is None:
        return ""
    back = view.result.request.back
    return f"{back.mode} from {back.origin.layer}:{back.origin.unit}, {view.filter}"


def draw(canvas: Image, view: BackView) -> None:
    """Draw the back image as large as fits, or say why there is none."""
    fill(canvas, view.look.background)
    if view.result is not None and view.result.back_image is not None:
        if not view.result.back_image.any():
            draw_note(canvas, (_nothing(view.result),), view.look.note)
            return
        picture = filtered(view.result.back_image, view.filter, view.look.blur_radius)
        draw_fitted(canvas, picture)
    elif view.wanted:
        fill(canvas, view.look.stale)
    elif view.hint:
        style = view.look.class_style
        x, y = view.look.class_place
        draw_text(canvas, shorten(view.hint, style, canvas.shape[1] - x), style, x, y)
