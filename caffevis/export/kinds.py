"""What can be exported of a unit: what each asks of the network, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from caffevis.keys.state import DECONV, GRAD, GUIDED, OVER_CAM, RAW, Origin
from caffevis.net.request import Back, NetRequest, NetResult
from caffevis.panes.back import filtered
from caffevis.panes.overlay import HEAT_MAP, activity, blend, spread
from toolbox.drawing.tiles import as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray, Image, side_by_side


@dataclass(frozen=True, eq=False)
class Exported:
    """One export.

    Parameters
    ----------
    values : ndarray of float32, or None
        As the network has them: a map (h, w), a single value (), or a diff of the input
        (height, width, 3 or 1), RGB, of a pair both. None where there is nothing.
    picture : ndarray of uint8, shape (h, w, 3), or None
        RGB.
    note : str
        Why something is missing.
    """

    values: FloatArray | None
    picture: Image | None
    note: str = ""


@dataclass(frozen=True)
class Kind:
    """One of the words of `--what`.

    Parameters
    ----------
    about : str
        For the help.
    ask : callable
        From a frame, a unit and the layer of Grad-CAM to a request.
    draw : callable
        From its result and the unit to an export.
    """

    about: str
    ask: Callable[[Frame, Origin, str], NetRequest]
    draw: Callable[[NetResult, Origin], Exported]


def over(result: NetResult, values: FloatArray) -> Image:
    """Lay a map over the frame as the window's Grad-CAM does."""
    fields, frame = result.fields, result.request.frame
    pictures = [np.array(image) for image in frame.images]
    if fields is not None:
        columns = fields.shown_columns(len(pictures))
        for picture, span in zip(pictures, columns, strict=False):
            active = spread(activity(values), fields, span, picture.shape[:2])
            picture[:] = blend(picture, active, OVER_CAM, HEAT_MAP)
    return side_by_side(tuple(pictures))


def _ask_activation(frame: Frame, unit: Origin, cam_layer: str) -> NetRequest:
    return NetRequest(frame, unit.layer, None, True)


def _draw_activation(result: NetResult, unit: Origin) -> Exported:
    values = np.array(as_maps(result.activations)[unit.unit], np.float32)
    if values.size == 1:
        return Exported(values.reshape(()), None, "the unit has one value and no map")
    return Exported(values, over(result, values))


def _ask_cam(frame: Frame, unit: Origin, cam_layer: str) -> NetRequest:
    return NetRequest(frame, cam_layer, None, True, cam=unit)


def _draw_cam(result: NetResult, unit: Origin) -> Exported:
    cam = result.cam
    if cam is None or cam.values is None:
        return Exported(None, None, "" if cam is None else cam.why)
    return Exported(cam.values, over(result, cam.values), "" if cam.values.any() else "all zero")


def _back(mode: str) -> Callable[[Frame, Origin, str], NetRequest]:
    return lambda frame, unit, cam_layer: NetRequest(frame, unit.layer, Back(mode, unit))


def _draw_back(result: NetResult, unit: Origin) -> Exported:
    diff = result.back_image
    if diff is None:
        return Exported(None, None, "nothing went back")
    silent = not as_maps(result.activations)[unit.unit].any()
    why = "the unit is silent in this photo" if silent else "nothing gets down to the input"
    note = "" if diff.any() else f"all zero: {why}"
    return Exported(np.array(diff), filtered(diff, RAW, 1.0), note)


ACTIVATION, CAM = "activation", "cam"
KINDS: dict[str, Kind] = {
    ACTIVATION: Kind("the unit's map over the photo", _ask_activation, _draw_activation),
    DECONV: Kind("deconv to the input", _back(DECONV), _draw_back),
    GRAD: Kind("gradient at the input", _back(GRAD), _draw_back),
    GUIDED: Kind("guided backprop to the input", _back(GUIDED), _draw_back),
    CAM: Kind("Grad-CAM in a layer below, over the photo", _ask_cam, _draw_cam),
}
