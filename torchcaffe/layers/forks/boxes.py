"""Boxes as rows (x1, y1, x2, y2): offsets come in, boxes go out; of overlapping ones, the best."""

from __future__ import annotations

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


def overlaps(box: Tensor, others: Tensor, extra: float) -> Tensor:
    """Return intersection over union of one box with others (N, 4).

    `extra` is 1 where both corners of a box count as pixels of it, 0 for relative boxes.
    """
    low = torch.maximum(box[:2], others[:, :2])
    high = torch.minimum(box[2:], others[:, 2:])
    shared = (high - low + extra).clamp_min(0).prod(1)
    own = (box[2:] - box[:2] + extra).clamp_min(0).prod()
    areas = (others[:, 2:] - others[:, :2] + extra).clamp_min(0).prod(1)
    return torch.where(shared > 0, shared / (own + areas - shared), 0.0)


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
    kept: list[int] = []
    worst = boxes.new_zeros(len(boxes))  # each box's greatest overlap with a kept one
    for i in range(len(boxes)):
        if not float(worst[i]) <= threshold:
            continue
        kept.append(i)
        if len(kept) == most:
            break
        if eta < 1 and threshold > 0.5:
            threshold *= eta
        worst[i + 1 :] = torch.maximum(worst[i + 1 :], overlaps(boxes[i], boxes[i + 1 :], extra))
    return kept
