"""LSTM and RNN over sequences (time, stream, ...), as Caffe unrolls them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer

Step = tuple[Tensor, list[Tensor]]


class _Recurrent(Layer):
    """What LSTM and RNN share.

    Bottoms: x (T, N, ...), cont (T, N) with 0 where a sequence begins, optionally a static
    input (N, ...) and, with `expose_hidden`, the first states (1, N, D). Tops: the outputs
    (T, N, D) and, with `expose_hidden`, the last states.
    """

    bottoms = (2, None)
    tops = (1, None)
    states = 1  # of shape (1, N, D)
    gates = 1
    _first: list[Tensor]  # the states that the last forward pass began with, and ended on
    _last: list[Tensor]

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.recurrent_param
        if p.num_output < 1:
            raise self.error("num_output is 0; 1 or more is accepted")
        self.exposed = self.states if p.expose_hidden else 0
        self.has_static = len(shapes) > 2 + self.exposed
        if len(shapes) != 2 + self.exposed + self.has_static:
            raise self.error(f"{len(shapes)} bottoms do not fit expose_hidden: {p.expose_hidden}")
        self.need_axes(shapes[0], 3)
        if self.has_static:
            self.need_axes(shapes[2], 2)
        self.reset()
        self._weights(math.prod(shapes[0][2:]), p.num_output, shapes)

    def _weights(self, length: int, outputs: int, shapes: list[Shape]) -> None:
        p = self.param.recurrent_param
        rows = self.gates * outputs
        self.add_param((rows, length), p.weight_filler)
        self.add_param((rows,), p.bias_filler)
        if self.has_static:
            self.add_param((rows, math.prod(shapes[2][1:])), p.weight_filler)
        self.add_param((rows, outputs), p.weight_filler)

    def reset(self) -> None:
        """Begin anew: the next forward pass starts from states of zero (Caffe's Reset)."""
        self._first, self._last = [], []

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.recurrent_param
        self.need_axes(shapes[0], 3)
        steps, streams = shapes[0][:2]
        if steps < 1:
            raise self.shape_error(f"x {shapes[0]} holds no step")
        if self.has_static and (not shapes[2] or shapes[2][0] != streams):
            raise self.shape_error(f"the static input {shapes[2]} must hold {streams} streams")
        if shapes[1] != (steps, streams):
            raise self.shape_error(f"cont has the shape {shapes[1]}, not {(steps, streams)}")
        if math.prod(shapes[0][2:]) != self.blobs[0].shape[1]:
            raise self.shape_error(f"x {shapes[0]} does not fit weights {self.blobs[0].shape}")
        state = (1, streams, p.num_output)
        if any(shape != state for shape in shapes[len(shapes) - self.exposed :]):
            raise self.shape_error(f"first states must have the shape {state}")
        tops: list[Shape] = [(steps, streams, p.num_output), *[state] * self.exposed]
        return tops[: len(self.param.top)]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        # as in Caffe a sequence goes on in the next forward pass where cont is not 0
        shape = (bottoms[0].shape[1], self.param.recurrent_param.num_output)
        kept = [s for s in self._last if s.shape == shape and s.device == bottoms[0].device]
        self._first = kept or [bottoms[0].new_zeros(shape) for _ in range(self.states)]
        return super().forward(bottoms)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x, cont = bottoms[0].flatten(2), bottoms[1].detach()
        inputs = x @ params[0].t() + params[1]
        if self.has_static:
            inputs = inputs + bottoms[2].flatten(1) @ params[2].t()
        states = self._first
        if self.exposed:
            states = [first[0] for first in bottoms[len(bottoms) - self.exposed :]]
        outputs = []
        for step in range(len(x)):
            out, states = self._step(inputs[step], cont[step][:, None], states, params)
            outputs.append(out)
        self._last = [state.detach() for state in states]
        return [torch.stack(outputs), *[s[None] for s in states]][: len(self.param.top)]

    def _step(self, x: Tensor, cont: Tensor, states: list[Tensor], params: list[Tensor]) -> Step:
        raise NotImplementedError

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        diffs = super().backward(top_diffs, bottoms, tops)
        return [None if i == 1 else diff for i, diff in enumerate(diffs)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None


@layer("LSTM")
class LSTM(_Recurrent):
    """Long short-term memory; gates in the order input, forget, output, candidate."""

    states = 2
    gates = 4

    def _step(self, x: Tensor, cont: Tensor, states: list[Tensor], params: list[Tensor]) -> Step:
        hidden, cell = states
        i, f, o, g = (x + (cont * hidden) @ params[-1].t()).chunk(4, 1)
        cell = cont * (torch.sigmoid(f) * cell) + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        return hidden, [hidden, cell]


@layer("RNN")
class RNN(_Recurrent):
    """h = tanh(W_hh h + W_xh x + b_h); output o = tanh(W_ho h + b_o)."""

    def _weights(self, length: int, outputs: int, shapes: list[Shape]) -> None:
        super()._weights(length, outputs, shapes)
        p = self.param.recurrent_param
        self.add_param((outputs, outputs), p.weight_filler)
        self.add_param((outputs,), p.bias_filler)

    def _step(self, x: Tensor, cont: Tensor, states: list[Tensor], params: list[Tensor]) -> Step:
        hidden = torch.tanh(x + (cont * states[0]) @ params[-3].t())
        return torch.tanh(hidden @ params[-2].t() + params[-1]), [hidden]
