"""Losses and accuracy. Labels are integers kept as floats, as in Caffe."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blob import Shape
from torchcaffe.errors import CaffeError
from torchcaffe.layers.base import Diffs, Layer, layer
from torchcaffe.proto.caffe_pb2 import HingeLossParameter, LossParameter

TINY = 1e-20  # Caffe's kLOG_THRESHOLD


class _Loss(Layer):
    """A layer with one number as its top; labels get no diff."""

    bottoms = (2, 2)
    default_loss_weight = 1.0
    labels: ClassVar[tuple[int, ...]] = (1,)  # which bottoms are labels

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if not shapes[0] or not shapes[1] or shapes[0][0] != shapes[1][0]:
            raise self.shape_error(f"its bottoms {shapes} must hold as many images")
        return [()]

    def backward(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
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
        outer = math.prod(bottoms[0].shape[: self.along])
        total = self.normalizer(len(index), outer, valid.sum(), LossParameter.VALID)
        probability = torch.softmax(bottoms[0].detach(), self.along)
        return [losses.sum() / total, probability][: len(self.param.top)]


@layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(_Classes):
    """Mean of -log(p[label]) for probabilities p."""

    def _class_axis(self) -> int:
        return 1

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        rows = bottoms[0].reshape(len(bottoms[0]), -1)
        index, _ = self._labels(bottoms[1], rows.shape[1])
        picked = rows.gather(1, index[:, None]).clamp_min(TINY)
        return [-picked.log().sum() / len(rows)]


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
        matrix = bottoms[2] if self.matrix is None else self.matrix
        matrix = matrix.detach().reshape(rows.shape[1], -1).to(rows)
        logs = F.log_softmax(rows, 1).clamp_min(math.log(TINY))
        losses = -(matrix[index] * logs).sum(1) * valid
        outer = math.prod(bottoms[0].shape[: self.along])
        total = self.normalizer(len(index), outer, valid.sum(), LossParameter.VALID)
        probability = torch.softmax(bottoms[0].detach(), self.along)
        return [losses.sum() / total, probability][: len(self.param.top)]


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

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.contrastive_loss_param
        difference = (bottoms[0] - bottoms[1]).reshape(len(bottoms[0]), -1)
        squared = difference.square().sum(1)
        similar = bottoms[2].detach().flatten() != 0
        if p.legacy_version:
            apart = torch.relu(p.margin - squared)
        else:
            # the tiny offset keeps the derivative of the root finite for equal pairs
            apart = torch.relu(p.margin - (squared + 1e-12).sqrt()).square()
        return [torch.where(similar, squared, apart).sum() / (2 * len(squared))]


@layer("Accuracy")
class Accuracy(_Classes):
    """Share of labels among the k highest classes; second top: the share of each class."""

    tops = (1, 2)
    default_loss_weight = 0.0

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
