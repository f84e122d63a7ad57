"""DetectionOutput, Proposal: scores, box offsets and where boxes start come in; out go boxes."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape, checked_shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer
from torchcaffe.layers.forks.boxes import best_apart, decode
from torchcaffe.proto.caffe_pb2 import PriorBoxParameter


class _Boxes(Layer):
    """Layers that choose boxes: nothing goes backward through the choice."""

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [torch.zeros_like(bottom) for bottom in bottoms]  # the forks stop the program here

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None


@layer("DetectionOutput")
class DetectionOutput(_Boxes):
    """The detections of an SSD net.

    Bottoms: box offsets (N, P * 4, or for each class P * classes * 4), class scores
    (N, P * classes) and the P prior boxes with their variances (1, 2, P * 4). Top:
    (1, 1, detections, 7), rows of image, label, score, xmin, ymin, xmax, ymax (relative to the
    image), by image and label; without a detection one row an image of -1. Where the bottoms do
    not fit the prior boxes (SSD stops the program), it warns and finds nothing: a viewer has
    everything before it to show.
    """

    bottoms = (3, 4)

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.detection_output_param
        if p.num_classes < 1:
            raise self.error("detection_output_param needs num_classes")
        if p.nms_param.nms_threshold < 0 or not 0 < p.nms_param.eta <= 1:
            raise self.error("nms_threshold must be 0 or more, eta above 0 and at most 1")
        self.has_corners = p.code_type == PriorBoxParameter.CORNER

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.detection_output_param
        offsets, scores, priors = shapes[:3]
        if len(priors) != 3 or priors[1] != 2 or priors[2] % 4:
            raise self.shape_error(f"its prior boxes {priors} must have the shape (1, 2, 4 * P)")
        if not offsets or not scores or offsets[0] != scores[0]:
            raise self.shape_error(f"its bottoms {shapes[:2]} must hold as many images")
        self.priors = priors[2] // 4
        self.kinds = 1 if p.share_location else p.num_classes
        wanted = [self.priors * 4 * self.kinds, self.priors * p.num_classes]
        found = [math.prod(shape[1:]) for shape in (offsets, scores)]
        self.fits = found == wanted
        if not self.fits:
            warnings.warn(
                f"layer {self.name!r} (DetectionOutput): {self.priors} prior boxes need "
                f"{wanted[0]} offsets and {wanted[1]} scores an image, its bottoms hold "
                f"{found[0]} and {found[1]}; it finds nothing",
                stacklevel=2,
            )
        return [(1, 1, 1, 7)]  # how many there are shows in the forward pass

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        classes = self.param.detection_output_param.num_classes
        offsets, scores, priors = (bottom.detach() for bottom in bottoms[:3])
        images, rows = len(offsets), []
        if self.fits:
            offsets = offsets.reshape(images, self.priors, self.kinds, 4)
            scores = scores.reshape(images, self.priors, classes)
            starts = priors.reshape(2, self.priors, 4)
            rows = [self._image(i, offsets[i], scores[i], starts) for i in range(images)]
        found = torch.cat([offsets.new_zeros(0, 7), *rows])
        if not len(found):
            found = offsets.new_full((images, 7), -1.0)
            found[:, 0] = torch.arange(images)
        return [found[None, None]]

    def _image(self, image: int, offsets: Tensor, scores: Tensor, priors: Tensor) -> Tensor:
        """Return the rows (n, 7) of one image."""
        p = self.param.detection_output_param
        variances = None if p.variance_encoded_in_target else priors[1]
        boxes = [
            decode(offsets[:, kind], priors[0], variances, p.code_type)
            for kind in range(self.kinds)
        ]
        rows = [offsets.new_zeros(0, 7)]
        for label in range(p.num_classes):
            if label == p.background_label_id:
                continue
            own = boxes[0 if p.share_location else label]
            at = self._chosen(own, scores[:, label])
            head = own.new_tensor([image, label]).expand(len(at), 2)
            rows.append(torch.cat([head, scores[at, label][:, None], own[at]], 1))
        found = torch.cat(rows)
        if -1 < p.keep_top_k < len(found):
            best = found[:, 2].argsort(descending=True, stable=True)[: p.keep_top_k]
            best = best[found[best, 1].argsort(stable=True)]  # again by label, best first
            found = found[best]
        return found

    def _chosen(self, boxes: Tensor, scores: Tensor) -> Tensor:
        """Return the numbers of the boxes of one class that are kept, best first."""
        p = self.param.detection_output_param
        at = torch.arange(len(scores), device=scores.device)
        if p.HasField("confidence_threshold"):
            at = at[scores > p.confidence_threshold]
        at = at[scores[at].argsort(descending=True, stable=True)]
        if p.nms_param.HasField("top_k") and p.nms_param.top_k > -1:
            at = at[: p.nms_param.top_k]
        kept = best_apart(boxes[at], p.nms_param.nms_threshold, eta=p.nms_param.eta)
        return at[kept]


def anchors(base: int, ratios: list[float], scales: list[float]) -> np.ndarray:
    """Return the boxes (ratios * scales, 4) around the first position, as py-faster-rcnn's."""
    centre = (base - 1) / 2
    rows = []
    for ratio in ratios:
        width = np.floor(math.sqrt(base * base / ratio) + 0.5)
        height = np.floor(width * ratio + 0.5)
        for scale in scales:
            half = np.array([width * scale - 1, height * scale - 1]) / 2
            rows.append([*(centre - half), *(centre + half)])
    return np.array(rows, np.float32).reshape(-1, 4)


@layer("Proposal")
class Proposal(_Boxes):
    """The regions that a region proposal network finds (the C++ layer of PVANET's fork).

    Bottoms: scores (N, 2 * A, H, W), background before foreground; offsets (N, 4 * A, H, W);
    and height, width and scale of the image (3 values, or 4; zeros stand for the map's own
    size times `feat_stride`, and scale 1). Tops: regions (R, 5), rows of image, x1, y1, x2, y2
    in pixels, and optionally their scores (R,).
    """

    bottoms = (3, 3)
    tops = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.proposal_param
        if not p.ratio or not p.scale or min([*p.ratio, *p.scale]) <= 0:
            raise self.error("proposal_param needs ratio and scale, all above 0")
        if p.base_size < 1 or p.feat_stride < 1 or p.post_nms_topn < 1 or p.pre_nms_topn < 1:
            raise self.error("base_size, feat_stride, pre_ and post_nms_topn must be 1 or more")
        self.anchors = anchors(p.base_size, list(p.ratio), list(p.scale))

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p, count = self.param.proposal_param, len(self.anchors)
        scores, offsets, info = shapes
        self.need_axes(scores, 4, 4)
        n, _, height, width = scores
        if scores[1] != 2 * count or offsets != (n, 4 * count, height, width):
            raise self.shape_error(
                f"its bottoms {scores} and {offsets} do not fit {count} anchors: "
                f"{2 * count} and {4 * count} channels of one size are needed"
            )
        if not 3 <= math.prod(info) <= 6:
            raise self.shape_error(f"the image's size {info} must be height, width, scale")
        top = checked_shape((n * p.post_nms_topn, 5), f"layer {self.name!r}: its top")
        return [top, top[:1]][: len(self.param.top)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        scores, offsets, info = (bottom.detach() for bottom in bottoms)
        numbers = info.flatten().tolist()
        parts = [self._image(i, scores[i], offsets[i], numbers) for i in range(len(scores))]
        rows = torch.cat([scores.new_zeros(0, 6), *parts])
        return [rows[:, :5].contiguous(), rows[:, 5].contiguous()][: len(self.param.top)]

    def _boxes(self, offsets: Tensor) -> Tensor:
        """Return the boxes (H * W * A, 4) that the offsets make of the anchors."""
        count, (height, width) = len(self.anchors), offsets.shape[1:]
        stride = self.param.proposal_param.feat_stride
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        shifts = (torch.stack([x, y, x, y], -1) * stride).to(offsets)
        start = shifts[:, :, None] + torch.from_numpy(self.anchors).to(offsets)
        start = start.reshape(-1, 4)
        moves = offsets.reshape(count, 4, height, width).permute(2, 3, 0, 1).reshape(-1, 4)
        size = start[:, 2:] - start[:, :2] + 1
        centre = moves[:, :2] * size + start[:, :2] + size / 2
        half = torch.exp(moves[:, 2:]) * size / 2
        return torch.cat([centre - half, centre + half], 1)

    def _image(self, image: int, scores: Tensor, offsets: Tensor, info: list[float]) -> Tensor:
        """Return rows (n, 6): image, x1, y1, x2, y2, score."""
        p, count = self.param.proposal_param, len(self.anchors)
        height, width, down = info[:3]
        across = info[3] if len(info) == 4 else down
        if not (height or width):
            height, width = (size * p.feat_stride for size in offsets.shape[1:])
            down = across = 1.0
        last = scores.new_tensor([width - 1, height - 1]).repeat(2)
        boxes = self._boxes(offsets).minimum(last).clamp_min(0)
        size = boxes[:, 2:] - boxes[:, :2] + 1
        least = scores.new_tensor([p.min_size * across, p.min_size * down])
        is_large = (size >= least).all(1)
        # what is too small counts as never found, but may still fill the list
        values = scores[count:].permute(1, 2, 0).reshape(-1) * is_large
        order = values.argsort(descending=True, stable=True)[: p.pre_nms_topn]
        kept = best_apart(boxes[order], p.nms_thresh, extra=1.0, most=p.post_nms_topn)
        at = order[kept]
        number = boxes.new_full((len(at), 1), float(image))
        return torch.cat([number, boxes[at], values[at][:, None]], 1)
