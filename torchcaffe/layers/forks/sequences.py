"""Lstm, LSTMUnit, ContinuationIndicator: steps of sequences come in; out go states, or marks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape, checked_shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer
from torchcaffe.process import device


class _BoundedDiff(torch.autograd.Function):
    """The identity, whose diff is cut to [-bound, bound]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.bound = bound
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, diff: Tensor) -> tuple[Tensor, None]:
        return diff.clamp(-ctx.bound, ctx.bound), None


@layer("Lstm")
class Lstm(Layer):
    """Long short-term memory of one layer (junhyukoh's, and CTPN's for more axes).

    Bottoms: x (T, N, ...), or (T * N, I) with `batch_size` N, and optionally marks (T * N
    values), 0 where a sequence begins; without them each forward pass begins anew. Top:
    (T, N, D), or (T * N, D). Blobs: (4D, I), (4D, D), (4D,); gates in the order input, forget,
    output, candidate. `clipping_threshold` bounds the gates' diffs going backward.
    """

    bottoms = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        self.need_axes(shapes[0], 2)
        p = self.param.lstm_param
        if p.num_output < 1 or p.batch_size < 1:
            raise self.error("num_output and batch_size must be 1 or more")
        self._states: list[Tensor] = []
        first = 1 if len(shapes[0]) == 2 else 2
        rows = 4 * p.num_output
        self.add_param((rows, math.prod(shapes[0][first:])), p.weight_filler)
        self.add_param((rows, p.num_output), p.weight_filler)
        self.add_param((rows,), p.bias_filler)

    def _steps(self, shape: Shape) -> tuple[int, int]:
        """Return how many steps and streams there are."""
        batch = self.param.lstm_param.batch_size
        if len(shape) > 2:
            return shape[0], shape[1]
        if shape[0] % batch:
            raise self.shape_error(f"its {shape[0]} rows are no multiple of batch_size {batch}")
        return shape[0] // batch, batch

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 2)
        steps, streams = self._steps(shapes[0])
        length = self.blobs[0].shape[1]
        if steps < 1 or math.prod(shapes[0]) != steps * streams * length:
            raise self.shape_error(f"its bottom {shapes[0]} must hold steps of {length} values")
        if len(shapes) > 1 and math.prod(shapes[1]) != steps * streams:
            raise self.shape_error(f"marks {shapes[1]} must hold {steps * streams} values")
        lead = shapes[0][:1] if len(shapes[0]) == 2 else shapes[0][:2]
        return [(*lead, self.param.lstm_param.num_output)]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        _, streams = self._steps(tuple(bottoms[0].shape))
        shape = (streams, self.param.lstm_param.num_output)
        kept = [s for s in self._states if s.shape == shape and s.device == bottoms[0].device]
        goes_on = len(bottoms) > 1 and kept
        self._first = kept if goes_on else [bottoms[0].new_zeros(shape) for _ in range(2)]
        return super().forward(bottoms)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        steps, streams = self._steps(tuple(bottoms[0].shape))
        x = bottoms[0].reshape(steps, streams, -1)
        marks = x.new_ones(steps, streams, 1)
        marks[0] = 0
        if len(bottoms) > 1:
            marks = (bottoms[1].detach() != 0).to(x).reshape(steps, streams, 1)
        bound = self.param.lstm_param.clipping_threshold
        inputs = x @ params[0].t() + params[2]
        hidden, cell = self._first
        outputs = []
        for step in range(steps):
            gates = inputs[step] + marks[step] * (hidden @ params[1].t())
            if bound > 0:
                gates = _BoundedDiff.apply(gates, bound)
            i, f, o, g = gates.chunk(4, 1)
            cell = marks[step] * torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            outputs.append(hidden)
        self._states = [hidden.detach(), cell.detach()]
        return [torch.stack(outputs).reshape(self.reshape([tuple(b.shape) for b in bottoms])[0])]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        diffs = super().backward(top_diffs, bottoms, tops)
        return [None if i == 1 else diff for i, diff in enumerate(diffs)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None


@layer("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM (BVLC's own; nets of LRCN name it).

    Bottoms: the cell (1, N, D), the gates before their functions (1, N, 4D) in the order
    input, forget, output, candidate, and marks of N values, 0 where a sequence begins. Tops:
    the new cell and the new hidden state.
    """

    bottoms = (3, 3)
    tops = (2, 2)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        cell, gates, marks = shapes
        self.need_axes(cell, 3, 3)
        if cell[0] != 1 or gates != (1, cell[1], 4 * cell[2]) or math.prod(marks) != cell[1]:
            raise self.shape_error(
                f"its bottoms {shapes} must be a cell (1, N, D), gates (1, N, 4D) and N marks"
            )
        return [cell, cell]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        cell, gates, marks = bottoms
        i, f, o, g = gates.chunk(4, 2)
        keep = marks.detach().reshape(1, -1, 1) * torch.sigmoid(f)
        new = keep * cell + torch.sigmoid(i) * torch.tanh(g)
        return [new, torch.sigmoid(o) * torch.tanh(new)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [*super().backward(top_diffs, bottoms, tops)[:2], None]


@layer("ContinuationIndicator")
class ContinuationIndicator(Layer):
    """Marks (T, N) for LSTM layers: 0 in the first of `time_step` steps, 1 in the others.

    N is `batch_size`, or that of the bottom where there is one.
    """

    bottoms = (0, 1)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.continuation_indicator_param
        batch = shapes[0][0] if shapes and shapes[0] else p.batch_size
        if p.time_step < 1 or batch < 1:
            raise self.error("time_step and batch_size must be 1 or more")
        self._shape = checked_shape((p.time_step, batch), f"layer {self.name!r}: its top")
        return [self._shape]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        marks = torch.ones(self._shape, device=device.current())
        marks[0] = 0
        return [marks]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [torch.zeros_like(bottom) for bottom in bottoms]

    def connects(self, top: int, bottom: int) -> bool:
        return False  # of the bottom only the size counts
