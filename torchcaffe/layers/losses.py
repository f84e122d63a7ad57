"""Losses and accuracy. Labels are integers kept as floats, as in Caffe."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.errors import CaffeError
from torchcaffe.layers.base import Diffs, Layer, layer
from torchcaffe.proto.caffe_pb2 import HingeLossParameter, LossParameter

TINY = 1e-20  # Caffe's kLOG_THRESHOLD


class _Loss(Layer):
    """A layer with one number as its top; labels get no diff."""

    bottoms = (2, 2)
    default_loss_weight = 1.0
    may_leave_top_out: ClassVar[bool] = True
    labels: ClassVar[tuple[int, ...]] = (1,)  # which bottoms are labels

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if not shapes[0] or not shapes[1] or shapes[0][0] != shapes[1][0]:
            raise self.shape_error(f"its bottoms {shapes} must hold as many images")
        return [()]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        diffs = super().backward(top_diffs, bottoms, tops)
        return [None if i in self.labels else diff for i, diff in enumerate(diffs)]

    def normalizer(self, count: int, outer: int, valid: Tensor | int, default: int) -> float:
        """Return what the sum of losses is divided by."""
        p = self.param.loss_param
        mode: int = default
        if p.HasField("normalization"):
            mode = p.normalization
        elif p.HasField("normalize"):
            mode = LossParameter.VALID if p.normalize else LossParameter.BATCH_SIZE
        values: dict[int, float] = {
            LossParameter.FULL: float(count),
            LossParameter.VALID: float(valid),
            LossParameter.BATCH_SIZE: float(outer),
            LossParameter.NONE: 1.0,
        }
        return max(values[mode], 1.0)


def class_rows(x: Tensor, axis: int) -> Tensor:
    """Move the class axis last and flatten the others: (positions, classes)."""
    return x.movedim(axis, -1).reshape(-1, x.shape[axis])


class _Classes(_Loss):
    """Losses whose first bottom has a class axis and whose second holds labels."""

    def _class_axis(self) -> int:
        return self.param.softmax_param.axis

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.along = self.axis(self._class_axis(), shapes[0])
        positions = math.prod(shapes[0]) // max(shapes[0][self.along], 1)
        if math.prod(shapes[1]) != positions:
            raise self.shape_error(
                f"{positions} predictions and {math.prod(shapes[1])} labels; "
                "one label for each prediction is needed"
            )
        return [()]

    def _unrows(self, rows: Tensor, like: Tensor) -> Tensor:
        """Undo `class_rows` for a bottom of the shape of `like`."""
        moved = like.movedim(self.along, -1).shape
        return rows.reshape(moved).movedim(-1, self.along).contiguous()

    def _normalised(self, bottom: Tensor, valid: Tensor) -> float:
        """Return what the sum of the losses of all positions is divided by."""
        outer = math.prod(bottom.shape[: self.along])
        return self.normalizer(len(valid), outer, valid.sum(), LossParameter.VALID)

    def _labels(self, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Return labels and which of them count."""
        index = labels.detach().flatten().long()
        p = self.param.accuracy_param if self.type == "Accuracy" else self.param.loss_param
        valid = torch.ones_like(index, dtype=torch.bool)
        if p.HasField("ignore_label"):
            valid = index != p.ignore_label
        used = index[valid]
        if used.numel() and not 0 <= int(used.min()) <= int(used.max()) < classes:
            raise self.shape_error(f"a label is outside 0 to {classes - 1}")
        return index.clamp(0, classes - 1), valid


@layer("SoftmaxWithLoss")
class SoftmaxWithLoss(_Classes):
    """Mean of -log softmax(x)[label]; the optional second top is the softmax."""

    tops = (1, 2)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        super().reshape(shapes)
        return [(), shapes[0]][: len(self.param.top)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        rows = class_rows(bottoms[0], self.along)
        index, valid = self._labels(bottoms[1], rows.shape[1])
        picked = F.log_softmax(rows, 1).gather(1, index[:, None]).squeeze(1)
        losses = -picked.clamp_min(math.log(1.1754943508222875e-38)) * valid
        total = self._normalised(bottoms[0], valid)
        probability = torch.softmax(bottoms[0].detach(), self.along)
        return [losses.sum() / total, probability][: len(self.param.top)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        # Caffe's own: softmax minus one at the label, also where the loss is at its bound
        rows = torch.softmax(class_rows(bottoms[0], self.along), 1)
        index, valid = self._labels(bottoms[1], rows.shape[1])
        rows.scatter_add_(1, index[:, None], rows.new_full((len(rows), 1), -1.0))
        scale = top_diffs[0] / self._normalised(bottoms[0], valid)
        return [self._unrows(rows * (valid * scale)[:, None], bottoms[0]), None]


@layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(_Classes):
    """Mean of -log(p[label]) for probabilities p; all values of an image are classes."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        _Loss.reshape(self, shapes)
        if math.prod(shapes[1]) != shapes[0][0]:
            raise self.shape_error(f"its bottoms {shapes} need one label an image")
        return [()]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        rows = bottoms[0].reshape(len(bottoms[0]), -1)
        index, _ = self._labels(bottoms[1], rows.shape[1])
        picked = rows.gather(1, index[:, None]).clamp_min(TINY)
        return [-picked.log().sum() / len(rows)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        rows = bottoms[0].reshape(len(bottoms[0]), -1)
        index, _ = self._labels(bottoms[1], rows.shape[1])
        # Caffe's own: also below the bound the derivative is that of the logarithm
        picked = rows.gather(1, index[:, None]).clamp_min(TINY)
        diff = torch.zeros_like(rows).scatter_(1, index[:, None], -1 / picked)
        return [(diff * (top_diffs[0] / len(rows))).reshape(bottoms[0].shape), None]


@layer("InfogainLoss")
class InfogainLoss(_Classes):
    """Multinomial logistic loss of a softmax, weighted by a matrix (third bottom or file)."""

    bottoms = (2, 3)
    tops = (1, 2)
    labels = (1, 2)

    def _class_axis(self) -> int:
        return self.param.infogain_loss_param.axis

    def setup(self, shapes: list[Shape]) -> None:
        self.matrix: Tensor | None = None
        if len(shapes) < 3:
            self.matrix = self._read(self.param.infogain_loss_param.source)

    def _read(self, source: str) -> Tensor:
        from torchcaffe.io import load_mean  # here: io imports nothing of the layers

        if not source:
            raise self.error("needs a third bottom, or infogain_loss_param { source: FILE }")
        try:
            values = load_mean(source)
        except CaffeError as error:
            raise self.error(f"its matrix can't be read: {error}") from error
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).squeeze()

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        super().reshape(shapes)
        classes = shapes[0][self.along]
        held = shapes[2] if self.matrix is None else tuple(self.matrix.shape)
        if math.prod(held) != classes**2:
            raise self.shape_error(f"its matrix {held} must be {classes} x {classes}")
        return [(), shapes[0]][: len(self.param.top)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        rows = class_rows(bottoms[0], self.along)
        index, valid = self._labels(bottoms[1], rows.shape[1])
        logs = F.log_softmax(rows, 1).clamp_min(math.log(TINY))
        losses = -(self._gains(bottoms, rows)[index] * logs).sum(1) * valid
        total = self._normalised(bottoms[0], valid)
        probability = torch.softmax(bottoms[0].detach(), self.along)
        return [losses.sum() / total, probability][: len(self.param.top)]

    def _gains(self, bottoms: list[Tensor], rows: Tensor) -> Tensor:
        """Return the matrix (classes, classes)."""
        matrix = bottoms[2] if self.matrix is None else self.matrix
        return matrix.detach().reshape(rows.shape[1], -1).to(rows)

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        rows = class_rows(bottoms[0], self.along)
        index, valid = self._labels(bottoms[1], rows.shape[1])
        gains = self._gains(bottoms, rows)[index]
        # Caffe's own: the bound of the logarithm does not stop the diff
        diff = torch.softmax(rows, 1) * gains.sum(1, keepdim=True) - gains
        scale = top_diffs[0] / self._normalised(bottoms[0], valid)
        return [self._unrows(diff * (valid * scale)[:, None], bottoms[0]), None, None]


@layer("EuclideanLoss")
class EuclideanLoss(_Loss):
    """Half the mean over images of the squared distance; both bottoms get a diff."""

    labels = ()

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        super().reshape(shapes)
        if math.prod(shapes[0]) != math.prod(shapes[1]):
            raise self.shape_error(f"its bottoms {shapes} must hold as many values")
        return [()]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        a, b = bottoms
        return [(a - b.reshape(a.shape)).square().sum() / (2 * len(a))]


@layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(_Loss):
    """Cross entropy of sigmoid(x) with targets between 0 and 1."""

    tops = (1, 2)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        super().reshape(shapes)
        if math.prod(shapes[0]) != math.prod(shapes[1]):
            raise self.shape_error(f"its bottoms {shapes} must hold as many values")
        return [(), shapes[0]][: len(self.param.top)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x, target = bottoms[0], bottoms[1].detach().reshape(bottoms[0].shape)
        valid = torch.ones_like(x)
        if self.param.loss_param.HasField("ignore_label"):
            valid = (target.long() != self.param.loss_param.ignore_label).float()
        losses = F.binary_cross_entropy_with_logits(x, target, valid, reduction="sum")
        total = self.normalizer(x.numel(), len(x), int(valid.sum()), LossParameter.BATCH_SIZE)
        return [losses / total, torch.sigmoid(x.detach())][: len(self.param.top)]


@layer("HingeLoss")
class HingeLoss(_Loss):
    """One-against-all hinge loss with norm L1 or L2."""

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x = bottoms[0].reshape(len(bottoms[0]), -1)
        index = bottoms[1].detach().flatten().long()
        if len(index) != len(x) or not 0 <= int(index.min()) <= int(index.max()) < x.shape[1]:
            raise self.shape_error(f"needs one label from 0 to {x.shape[1] - 1} an image")
        sign = torch.ones_like(x)
        sign[torch.arange(len(x)), index] = -1.0
        margin = torch.relu(1 + sign * x)
        if self.param.hinge_loss_param.norm == HingeLossParameter.L2:
            return [margin.square().sum() / len(x)]
        return [margin.sum() / len(x)]


@layer("ContrastiveLoss")
class ContrastiveLoss(_Loss):
    """Pull similar pairs (label 1) together, push others beyond the margin (siamese nets)."""

    bottoms = (3, 3)
    labels = (2,)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_same(shapes[:2])
        if not shapes[0] or math.prod(shapes[2]) != shapes[0][0]:
            raise self.shape_error(f"its bottoms {shapes} need one label a pair")
        return [()]

    def _pairs(self, bottoms: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return differences (N, D), squared distances (N,) and which pairs are similar."""
        difference = (bottoms[0] - bottoms[1]).reshape(len(bottoms[0]), -1)
        return difference, difference.square().sum(1), bottoms[2].flatten().long() != 0

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.contrastive_loss_param
        _, squared, similar = self._pairs(bottoms)
        if p.legacy_version:
            apart = torch.relu(p.margin - squared)
        else:
            apart = torch.relu(p.margin - squared.sqrt()).square()
        return [torch.where(similar, squared, apart).sum() / (2 * len(squared))]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        p = self.param.contrastive_loss_param
        difference, squared, similar = self._pairs(bottoms)
        if p.legacy_version:
            apart = -(squared < p.margin).to(squared)
        else:
            distance = squared.sqrt()
            # Caffe's own: the offset makes the diff of equal pairs zero instead of infinite
            apart = -torch.relu(p.margin - distance) / (distance + 1e-4)
        factor = torch.where(similar, 1.0, apart) * (top_diffs[0] / len(squared))
        diff = (factor[:, None] * difference).reshape(bottoms[0].shape)
        return [diff, -diff, None]


@layer("Accuracy")
class Accuracy(_Classes):
    """Share of labels among the k highest classes; second top: the share of each class."""

    tops = (1, 2)
    default_loss_weight = 0.0
    may_leave_top_out = False

    def _class_axis(self) -> int:
        return self.param.accuracy_param.axis

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        super().reshape(shapes)
        classes, top_k = shapes[0][self.along], self.param.accuracy_param.top_k
        if not 1 <= top_k <= classes:
            raise self.error(f"top_k is {top_k}; 1 to {classes} is accepted")
        return [(), (classes,)][: len(self.param.top)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        rows = class_rows(bottoms[0].detach(), self.along)
        index, valid = self._labels(bottoms[1], rows.shape[1])
        own = rows.gather(1, index[:, None])
        # as in Caffe, classes that score the same as the label's count against it
        better = (rows >= own).sum(1) - 1
        right = ((better < self.param.accuracy_param.top_k) & valid).float()
        share = right.sum() / valid.sum().clamp_min(1)
        hits, counts = rows.new_zeros(rows.shape[1]), rows.new_zeros(rows.shape[1])
        hits.scatter_add_(0, index, right)
        counts.scatter_add_(0, index, valid.float())
        return [share, hits / counts.clamp_min(1)][: len(self.param.top)]
