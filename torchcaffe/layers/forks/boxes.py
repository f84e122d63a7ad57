"""Boxes as rows (x1, y1, x2, y2): offsets come in, boxes go out; of overlapping ones, the best."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchcaffe.proto.caffe_pb2 import PriorBoxParameter


def decode(offsets: Tensor, priors: Tensor, variances: Tensor | None, code: int) -> Tensor:
    """Apply predicted offsets to prior boxes, as SSD does.

    Parameters
    ----------
    offsets, priors : Tensor
        (P, 4); priors relative to the image.
    variances : Tensor or None
        (P, 4) factors of the offsets; None where the offsets contain them.
    code : int
        A PriorBoxParameter.CodeType.

    Returns
    -------
    Tensor
        (P, 4).
    """
    if variances is not None:
        offsets = offsets * variances
    size = priors[:, 2:] - priors[:, :2]
    if code == PriorBoxParameter.CORNER:
        return priors + offsets
    if code == PriorBoxParameter.CORNER_SIZE:
        return priors + offsets * size.repeat(1, 2)
    centre = (priors[:, :2] + priors[:, 2:]) / 2 + offsets[:, :2] * size
    half = torch.exp(offsets[:, 2:]) * size / 2
    return torch.cat([centre - half, centre + half], 1)


def overlaps(box: np.ndarray, others: np.ndarray, extra: float) -> np.ndarray:
    """Return intersection over union of one box with others (N, 4).

    `extra` is 1 where both corners of a box count as pixels of it, 0 for relative boxes.
    """
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.maximum(high - low + extra, 0).prod(1)
    own = np.maximum(box[2:] - box[:2] + extra, 0).prod()
    areas = np.maximum(others[:, 2:] - others[:, :2] + extra, 0).prod(1)
    found = np.zeros(len(others), np.float32)
    np.divide(shared, own + areas - shared, out=found, where=shared > 0)
    return found


def best_apart(
    boxes: Tensor, threshold: float, *, eta: float = 1.0, extra: float = 0.0, most: int = -1
) -> list[int]:
    """Non-maximum suppression: keep, best first, what overlaps nothing better too much.

    Parameters
    ----------
    boxes : Tensor
        (N, 4), by falling score.
    threshold : float
        The greatest overlap (intersection over union) that two kept boxes may have.
    eta : float
        Below 1 the threshold is multiplied with it after each box kept, while above 0.5.
    extra : float
        See `overlaps`.
    most : int
        Stop after so many; -1: never.

    Returns
    -------
    list of int
        Row numbers in `boxes`.
    """
    rows = boxes.detach().cpu().numpy()
    kept: list[int] = []
    worst = np.zeros(len(rows), np.float32)  # each box's greatest overlap with a kept one
    with np.errstate(all="ignore"):  # boxes of values that are no numbers overlap nothing
        for i, box in enumerate(rows):
            if worst[i] > threshold:
                continue
            kept.append(i)
            if len(kept) == most:
                break
            if eta < 1 and threshold > 0.5:
                threshold *= eta
            worst[i + 1 :] = np.maximum(worst[i + 1 :], overlaps(box, rows[i + 1 :], extra))
    return kept
