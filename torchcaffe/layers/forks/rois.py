"""ROIPooling, PSROIPooling: maps (N, C, H, W) and regions (R, 5) come in; out go (R, C, h, w).

A region is a row: number of the image, x1, y1, x2, y2 in pixels of the net's input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer

Window = tuple[int, int, slice, slice]  # row and column of the bin, rows and columns of the map


def round_away(values: np.ndarray) -> np.ndarray:
    """Round halves away from zero, as C does."""
    return np.sign(values) * np.floor(np.abs(values) + np.float32(0.5))


class _Regions(Layer):
    """What the poolings of regions share: which part of the map a bin looks at."""

    bottoms = (2, 2)
    scale: float

    def _top(self, shapes: list[Shape], channels: int, bins: tuple[int, int]) -> Shape:
        self.need_axes(shapes[0], 4, 4)
        regions = shapes[1]
        if not regions or math.prod(regions[1:]) != 5:
            raise self.shape_error(
                f"its second bottom has the shape {regions}; rows of five are needed: "
                "number of the image, x1, y1, x2, y2"
            )
        return (regions[0], channels, *bins)

    def _edges(self, start: float, end: float, bins: int, size: int) -> list[slice]:
        """Return, in float32 as the forks compute, the part of an axis under each bin."""
        raise NotImplementedError

    def _corners(self, region: np.ndarray) -> np.ndarray:
        """Return x1, y1, x2, y2 on the map."""
        raise NotImplementedError

    def _windows(self, x: Tensor, regions: Tensor, bins: tuple[int, int]) -> Iterator[
        tuple[int, list[Window]]
    ]:  # fmt: skip
        """Yield the image of each region, and its bins."""
        rows = regions.detach().cpu().numpy().reshape(-1, 5).astype(np.float32)
        if not np.isfinite(rows).all():
            raise self.shape_error("its regions hold values that are no numbers")
        rows = rows.clip(-1e6, 1e6)
        for row in rows:
            image = int(row[0])
            if not 0 <= image < len(x):
                raise self.shape_error(f"a region is of image {image}; there are {len(x)}")
            left, upper, right, lower = self._corners(row[1:])
            down = self._edges(upper, lower, bins[0], x.shape[2])
            across = self._edges(left, right, bins[1], x.shape[3])
            yield (
                image,
                [(i, j, ys, xs) for i, ys in enumerate(down) for j, xs in enumerate(across)],
            )

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None


def _slices(starts: np.ndarray, ends: np.ndarray, size: int) -> list[slice]:
    low, high = (np.clip(edges, 0, size).astype(int) for edges in (starts, ends))
    return [slice(a, max(a, b)) for a, b in zip(low, high, strict=True)]


@layer("ROIPooling")
class ROIPooling(_Regions):
    """The maximum of each of `pooled_h` x `pooled_w` bins of each region (Fast R-CNN).

    Corners are rounded to whole positions of the map first; an empty bin is 0.
    """

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.roi_pooling_param
        self.bins, self.scale = (p.pooled_h, p.pooled_w), p.spatial_scale
        if min(self.bins) < 1:
            raise self.error(f"pooled_h and pooled_w are {self.bins}; 1 or more is accepted")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 4, 4)
        return [self._top(shapes, shapes[0][1], self.bins)]

    def _corners(self, region: np.ndarray) -> np.ndarray:
        return round_away(region * np.float32(self.scale))

    def _edges(self, start: float, end: float, bins: int, size: int) -> list[slice]:
        step = np.float32(max(end - start + 1, 1)) / np.float32(bins)
        index = np.arange(bins, dtype=np.float32)
        return _slices(np.floor(index * step) + start, np.ceil((index + 1) * step) + start, size)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x, regions = bottoms
        shape = self._top([tuple(b.shape) for b in bottoms], x.shape[1], self.bins)
        top = x.new_zeros(shape)
        # image and flat position of each maximum; -1: an empty bin
        self._images: list[int] = []
        self._at = torch.full(shape, -1, dtype=torch.long, device=x.device)
        for n, (image, windows) in enumerate(self._windows(x, regions, self.bins)):
            self._images.append(image)
            for i, j, ys, xs in windows:
                part = x[image, :, ys, xs]
                if not part.shape[1] * part.shape[2]:
                    continue
                top[n, :, i, j], at = part.flatten(1).max(1)
                rows = torch.div(at, part.shape[2], rounding_mode="floor") + ys.start
                self._at[n, :, i, j] = rows * x.shape[3] + at % part.shape[2] + xs.start
        return [top]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        out = torch.zeros_like(bottoms[0], memory_format=torch.contiguous_format)
        flat, at = out.flatten(2), self._at.flatten(2)
        diffs = top_diffs[0].flatten(2) * (at >= 0)
        for image, where, diff in zip(self._images, at.clamp_min(0), diffs, strict=True):
            flat[image].scatter_add_(1, where, diff)
        return [out, None]


@layer("PSROIPooling")
class PSROIPooling(_Regions):
    """The mean of each bin of each region, each bin from channels of its own (R-FCN).

    Bin (i, j) of output channel c looks at channel (c * group_size + i) * group_size + j.
    """

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.psroi_pooling_param
        self.outputs, self.group, self.scale = p.output_dim, p.group_size, p.spatial_scale
        if min(self.outputs, self.group, self.scale) <= 0:
            raise self.error("psroi_pooling_param needs spatial_scale, output_dim and group_size")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 4, 4)
        if shapes[0][1] != self.outputs * self.group**2:
            raise self.shape_error(
                f"its bottom has {shapes[0][1]} channels; {self.outputs} * {self.group} ** 2 are "
                "needed"
            )
        return [self._top(shapes, self.outputs, (self.group, self.group))]

    def _corners(self, region: np.ndarray) -> np.ndarray:
        whole = round_away(region) + np.array([0, 0, 1, 1], np.float32)
        return whole * np.float32(self.scale)

    def _edges(self, start: float, end: float, bins: int, size: int) -> list[slice]:
        step = np.float32(max(end - start, 0.1)) / np.float32(bins)
        index = np.arange(bins, dtype=np.float32)
        return _slices(np.floor(index * step + start), np.ceil((index + 1) * step + start), size)

    def _split(self, x: Tensor) -> Tensor:
        """Return a view with the axes image, output, row and column of the bin, map."""
        return x.reshape(len(x), self.outputs, self.group, self.group, *x.shape[2:])

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x, regions = bottoms
        bins = (self.group, self.group)
        split = self._split(x)
        top = x.new_zeros(self._top([tuple(b.shape) for b in bottoms], self.outputs, bins))
        for n, (image, windows) in enumerate(self._windows(x, regions, bins)):
            for i, j, ys, xs in windows:
                if ys.stop > ys.start and xs.stop > xs.start:
                    top[n, :, i, j] = split[image, :, i, j, ys, xs].mean((1, 2))
        return [top]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        x, regions = bottoms
        out = torch.zeros_like(x, memory_format=torch.contiguous_format)
        split = self._split(out)
        for n, (image, windows) in enumerate(self._windows(x, regions, (self.group, self.group))):
            for i, j, ys, xs in windows:
                area = max((ys.stop - ys.start) * (xs.stop - xs.start), 1)
                split[image, :, i, j, ys, xs] += (top_diffs[0][n, :, i, j] / area)[:, None, None]
        return [out, None]
