"""Layers of products and sums: InnerProduct, Embed, Eltwise, Scale, Bias, Axpy."""

from __future__ import annotations

import numpy as np

from tests.torchcaffe.layers.replicas.case import array, canonical, count, maker


def inner_product(p, bottoms, params):
    """Everything from `axis` on times a matrix."""
    q, (x,) = p.inner_product_param, bottoms
    axis = canonical(q.axis, x.ndim)
    rows = x.reshape(count(x.shape, 0, axis), -1)
    y = rows @ (params[0] if q.transpose else params[0].T)
    if q.bias_term:
        y = y + params[1]
    return [y.reshape(*x.shape[:axis], q.num_output)]


def embed(p, bottoms, params):
    """Rows of a matrix."""
    q = p.embed_param
    rows = [params[0][int(i)] + (params[1] if q.bias_term else 0) for i in bottoms[0].flat]
    return [np.reshape(rows, (*bottoms[0].shape, q.num_output))]


def eltwise(p, bottoms, params):
    """Product, sum or maximum."""
    q = p.eltwise_param
    if q.operation == 1:
        coeffs = list(q.coeff) or [1.0] * len(bottoms)
        return [sum(c * x for c, x in zip(coeffs, bottoms, strict=True))]
    y = bottoms[0]
    for x in bottoms[1:]:
        y = y * x if q.operation == 0 else np.where(x > y, x, y)
    return [y]


def to_the_winner(p, bottoms, params, diffs):
    """Caffe's maximum: of equal values the second bottom's, otherwise the earlier one's."""
    out = [np.zeros_like(x) for x in bottoms]
    for at in np.ndindex(bottoms[0].shape):
        winner = 0 if bottoms[0][at] > bottoms[1][at] else 1
        for i in range(2, len(bottoms)):
            if bottoms[i][at] > bottoms[winner][at]:
                winner = i
        out[winner][at] = diffs[0][at]
    return out, []


def _spread(x, second, axis):
    """Give the second factor axes of size 1 so that it fits `x` from `axis` on."""
    return second.reshape(*[1] * axis, *second.shape, *[1] * (x.ndim - axis - second.ndim))


def _axis(q, x, second):
    return 0 if second.ndim == 0 else canonical(q.axis, x.ndim)


def scale(p, bottoms, params):
    """Multiply along axes; optional bias."""
    q, x = p.scale_param, bottoms[0]
    second = bottoms[1] if len(bottoms) > 1 else params[0]
    y = x * _spread(x, second, _axis(q, x, second))
    if q.bias_term:
        y = y + _spread(x, params[-1], _axis(q, x, second))
    return [y]


def bias(p, bottoms, params):
    """Add along axes."""
    q, x = p.bias_param, bottoms[0]
    second = bottoms[1] if len(bottoms) > 1 else params[0]
    return [x + _spread(x, second, _axis(q, x, second))]


def axpy(p, bottoms, params):
    """a * x + y with one factor a channel."""
    a, x, y = bottoms
    return [a.reshape(*x.shape[:2], *[1] * (x.ndim - 2)) * x + y]


def parameter(p, bottoms, params):
    """A learned blob."""
    return [params[0]]


S = (2, 3, 4, 5)
STEPS = np.round(np.random.default_rng(5).normal(size=(3, 2, 3, 4)) * 1.5)  # many ties
HOLES = np.where(np.random.default_rng(6).random((3, 2, 3, 4)) < 0.3, 0.0, STEPS + 0.25)

IP = maker("InnerProduct", inner_product)
EMBED = maker("Embed", embed, labels=(0,))
ELT = maker("Eltwise", eltwise)
SCALE = maker("Scale", scale)
BIAS = maker("Bias", bias)
AXPY = maker("Axpy", axpy)


def _ip(text):
    return f"inner_product_param {{ {text} }}"


CASES = [
    IP("axis_2", _ip("num_output: 3 axis: 2"), S, param_shapes=[(3, 20), (3,)]),
    IP("axis_last", _ip("num_output: 3 axis: -1 bias_term: false"), S, param_shapes=[(3, 5)]),
    IP("axis_0", _ip("num_output: 4 axis: 0"), (2, 3), param_shapes=[(4, 6), (4,)]),
    IP("transposed", _ip("num_output: 4 transpose: true"), S, param_shapes=[(60, 4), (4,)]),
    IP("transposed_axis", _ip("num_output: 4 transpose: true axis: 2 bias_term: false"), S,
       param_shapes=[(20, 4)]),
    EMBED("words", "embed_param { num_output: 3 input_dim: 5 }", array([0, 4, 4], [2, 1, 0])),
    EMBED("no_bias", "embed_param { num_output: 2 input_dim: 3 bias_term: false }",
          array(2.9, 0.0, 1.0)),
    ELT("sum_3", "", S, S, S),
    ELT("sum_coeff", "eltwise_param { coeff: -1 coeff: 0.5 coeff: 2 }", S, S, S),
    ELT("difference", "eltwise_param { operation: SUM coeff: 1 coeff: -1 }", (7,), (7,)),
    ELT("product_3", "eltwise_param { operation: PROD }", S, S, S),
    ELT("product_zeros", "eltwise_param { operation: PROD }", *HOLES),
    ELT("product_unstable", "eltwise_param { operation: PROD stable_prod_grad: false }", S, S),
    ELT("max_3", "eltwise_param { operation: MAX }", S, S, S),
    ELT("max_3_ties", "eltwise_param { operation: MAX }", *STEPS, gradient=to_the_winner),
    SCALE("channels", "", S, param_shapes=[(3,)], in_place=True),
    SCALE("bias", "scale_param { bias_term: true }", S, param_shapes=[(3,), (3,)], in_place=True),
    SCALE("axes_1_2", "scale_param { axis: 1 num_axes: 2 bias_term: true }", S,
          param_shapes=[(3, 4), (3, 4)]),
    SCALE("to_the_end", "scale_param { axis: -2 num_axes: -1 }", S, param_shapes=[(4, 5)]),
    SCALE("number", "scale_param { num_axes: 0 bias_term: true }", S, param_shapes=[(), ()]),
    SCALE("whole", "scale_param { axis: 0 num_axes: -1 }", S, param_shapes=[S]),
    SCALE("second_bottom", "scale_param { axis: 0 }", S, (2, 3), param_shapes=[]),
    SCALE("second_bottom_bias", "scale_param { axis: 2 bias_term: true }", S, (4,),
          param_shapes=[(4,)]),
    SCALE("second_bottom_number", "", S, np.array(1.7)),
    SCALE("second_bottom_whole", "scale_param { axis: 0 }", (2, 3), (2, 3)),
    BIAS("channels", "", S, param_shapes=[(3,)], in_place=True),
    BIAS("axes", "bias_param { axis: 2 num_axes: 2 }", S, param_shapes=[(4, 5)]),
    BIAS("to_the_end", "bias_param { axis: 1 num_axes: -1 }", S, param_shapes=[(3, 4, 5)]),
    BIAS("number", "bias_param { num_axes: 0 }", S, param_shapes=[()]),
    BIAS("second_bottom", "bias_param { axis: 0 }", S, (2, 3), param_shapes=[]),
    BIAS("second_bottom_negative_axis", "bias_param { axis: -1 }", S, (5,)),
    AXPY("channels", "", (2, 3, 1, 1), S, S),
    AXPY("matrix_factor", "", (2, 3), S, S),
    maker("Parameter", parameter)("shape", "parameter_param { shape { dim: 2 dim: 3 } }"),
]  # fmt: skip
