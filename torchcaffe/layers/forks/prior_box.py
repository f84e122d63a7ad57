"""Layers of detection nets (SSD): PriorBox."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, layer


@layer("PriorBox")
class PriorBox(Layer):
    """Default boxes of every position of a feature map, and their variances.

    Bottoms: the feature map, the image. Top (1, 2, 4 * boxes): corners relative to the
    image (xmin, ymin, xmax, ymax), then the variances.
    """

    bottoms = (2, 2)

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.prior_box_param
        if not p.min_size or min(p.min_size) <= 0:
            raise self.error("prior_box_param needs a positive min_size")
        if p.max_size and len(p.max_size) != len(p.min_size):
            raise self.error("give as many max_size as min_size, or none")
        if any(large <= small for small, large in zip(p.min_size, p.max_size, strict=False)):
            raise self.error("each max_size must be greater than its min_size")
        if len(p.variance) not in (0, 1, 4) or any(v <= 0 for v in p.variance):
            raise self.error("give one or four positive variance, or none")
        self.ratios = [1.0]
        for ratio in p.aspect_ratio:
            if ratio <= 0:
                raise self.error(f"aspect_ratio {ratio} must be positive")
            for value in (ratio, 1.0 / ratio) if p.flip else (ratio,):
                if all(abs(value - known) >= 1e-6 for known in self.ratios):
                    self.ratios.append(value)

    def _sizes(self) -> list[tuple[float, float]]:
        """Return width and height, in pixels, of the boxes of one position, in SSD's order."""
        p = self.param.prior_box_param
        out: list[tuple[float, float]] = []
        for i, size in enumerate(p.min_size):
            small = int(size)  # SSD keeps whole pixels, of sizes such as 35.84 too
            out.append((small, small))
            if p.max_size:
                middle = math.sqrt(small * int(p.max_size[i]))
                out.append((middle, middle))
            for ratio in self.ratios[1:]:
                out.append((small * math.sqrt(ratio), small / math.sqrt(ratio)))
        return out

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        for shape in shapes:
            self.need_axes(shape, 4, 4)
        height, width = shapes[0][2:]
        return [(1, 2, height * width * len(self._sizes()) * 4)]

    def _frame(self, bottoms: list[Tensor]) -> tuple[float, float, float, float]:
        """Return the image's height and width and the steps between positions."""
        p = self.param.prior_box_param
        height = p.img_h or p.img_size or bottoms[1].shape[2]
        width = p.img_w or p.img_size or bottoms[1].shape[3]
        down = p.step_h or p.step or height / bottoms[0].shape[2]
        across = p.step_w or p.step or width / bottoms[0].shape[3]
        return float(height), float(width), down, across

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.prior_box_param
        height, width, down, across = self._frame(bottoms)
        y = (torch.arange(bottoms[0].shape[2]) + p.offset) * down
        x = (torch.arange(bottoms[0].shape[3]) + p.offset) * across
        sizes = torch.tensor(self._sizes()) / 2
        centre_y, centre_x = torch.meshgrid(y, x, indexing="ij")
        centre = torch.stack([centre_x, centre_y], -1)[:, :, None]
        scale = torch.tensor([width, height])
        boxes = torch.cat([(centre - sizes) / scale, (centre + sizes) / scale], -1)
        if p.clip:
            boxes = boxes.clamp(0.0, 1.0)
        variance = torch.tensor(list(p.variance) or [0.1])
        rows = variance.expand(4) if len(variance) == 1 else variance
        variances = rows.repeat(boxes.numel() // 4)
        return [torch.stack([boxes.reshape(-1), variances])[None].to(bottoms[0])]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [torch.zeros_like(bottom) for bottom in bottoms]

    def connects(self, top: int, bottom: int) -> bool:
        return False  # of both bottoms only the size counts
