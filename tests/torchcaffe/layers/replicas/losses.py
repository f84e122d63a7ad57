"""Losses and accuracy; their gradients are Caffe's formulas, not the derivative of the loss.

The two agree except where Caffe bounds a logarithm or offsets a division; the cases away
from there use central differences.
"""

from __future__ import annotations

import numpy as np

from tests.torchcaffe.layers.replicas.case import array, canonical, count, maker

FLT_MIN, LOG_THRESHOLD = 1.1754943508222875e-38, 1e-20


def _softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _positions(x, labels, axis):
    """Yield (index of the position's classes in x, label)."""
    outer, inner = x.shape[:axis], x.shape[axis + 1 :]
    flat = iter(labels.reshape(-1))
    for a in np.ndindex(*outer):
        for b in np.ndindex(*inner):
            yield (*a, slice(None), *b), int(next(flat))


def _divisor(p, x, axis, valid, default):
    q = p.loss_param
    mode = default
    if q.HasField("normalization"):
        mode = q.normalization
    elif q.HasField("normalize"):
        mode = 1 if q.normalize else 2
    outer = count(x.shape, 0, axis)
    whole = outer * count(x.shape, axis + 1)
    return max(1.0, {0: whole, 1: valid, 2: outer, 3: 1}[mode])


def _ignored(p, label):
    return p.loss_param.HasField("ignore_label") and label == p.loss_param.ignore_label


def softmax_loss(p, bottoms, params):
    """Mean of -log of the label's probability; second top: the probabilities."""
    x, labels = bottoms
    axis = canonical(p.softmax_param.axis, x.ndim)
    prob, total, valid = _softmax(x, axis), 0.0, 0
    for at, label in _positions(x, labels, axis):
        if not _ignored(p, label):
            total -= np.log(max(prob[at][label], FLT_MIN))
            valid += 1
    return [np.array(total / _divisor(p, x, axis, valid, 1)), prob][: len(p.top)]


def softmax_loss_gradient(p, bottoms, params, diffs):
    """Probabilities, minus one at the label; also where the loss is at its bound."""
    x, labels = bottoms
    axis = canonical(p.softmax_param.axis, x.ndim)
    out, valid = _softmax(x, axis), 0
    for at, label in _positions(x, labels, axis):
        if _ignored(p, label):
            out[at] = 0
        else:
            out[at][label] -= 1
            valid += 1
    return [out * float(diffs[0]) / _divisor(p, x, axis, valid, 1), None], []


def infogain(p, bottoms, params):
    """Negative logarithms of all probabilities, weighted by the label's row."""
    x, labels, gains = bottoms
    axis = canonical(p.infogain_loss_param.axis, x.ndim)
    prob, total, valid = _softmax(x, axis), 0.0, 0
    gains = gains.reshape(x.shape[axis], x.shape[axis])
    for at, label in _positions(x, labels, axis):
        if not _ignored(p, label):
            total -= (gains[label] * np.log(np.maximum(prob[at], LOG_THRESHOLD))).sum()
            valid += 1
    return [np.array(total / _divisor(p, x, axis, valid, 1)), prob][: len(p.top)]


def infogain_gradient(p, bottoms, params, diffs):
    """Probability times the row's sum, minus the row; the bound does not matter."""
    x, labels, gains = bottoms
    axis = canonical(p.infogain_loss_param.axis, x.ndim)
    prob, out, valid = _softmax(x, axis), np.zeros_like(x), 0
    gains = gains.reshape(x.shape[axis], x.shape[axis])
    for at, label in _positions(x, labels, axis):
        if not _ignored(p, label):
            out[at] = prob[at] * gains[label].sum() - gains[label]
            valid += 1
    return [out * float(diffs[0]) / _divisor(p, x, axis, valid, 1), None, None], []


def multinomial(p, bottoms, params):
    """Mean of -log(p[label]); all values of an image are classes."""
    rows = bottoms[0].reshape(len(bottoms[0]), -1)
    picked = [max(row[int(i)], LOG_THRESHOLD) for row, i in zip(rows, bottoms[1].flat, strict=True)]
    return [np.array(-np.log(picked).sum() / len(rows))]


def multinomial_gradient(p, bottoms, params, diffs):
    """-1/p at the label, with p at least the bound."""
    rows = bottoms[0].reshape(len(bottoms[0]), -1)
    out = np.zeros_like(rows)
    for i, label in enumerate(bottoms[1].flat):
        out[i, int(label)] = -diffs[0] / len(rows) / max(rows[i, int(label)], LOG_THRESHOLD)
    return [out.reshape(bottoms[0].shape), None], []


def euclidean(p, bottoms, params):
    """Half the mean squared distance."""
    a, b = bottoms
    return [np.array(((a - b.reshape(a.shape)) ** 2).sum() / len(a) / 2)]


def cross_entropy(p, bottoms, params):
    """Cross entropy of sigmoids."""
    x, target = bottoms[0], bottoms[1].reshape(bottoms[0].shape)
    total, valid = 0.0, 0
    for v, t in zip(x.flat, target.flat, strict=True):
        if not _ignored(p, int(t)):
            total -= v * (t - (v >= 0)) - np.log1p(np.exp(v - 2 * v * (v >= 0)))
            valid += 1
    q = p.loss_param
    mode = 2
    if q.HasField("normalization"):
        mode = q.normalization
    elif q.HasField("normalize"):
        mode = 1 if q.normalize else 2
    divisor = max(1.0, {0: x.size, 1: valid, 2: len(x), 3: 1}[mode])
    return [np.array(total / divisor)]


def hinge(p, bottoms, params):
    """One against all."""
    rows = bottoms[0].reshape(len(bottoms[0]), -1).copy()
    for i, label in enumerate(bottoms[1].flat):
        rows[i, int(label)] *= -1
    margin = np.maximum(0, 1 + rows)
    power = 2 if p.hinge_loss_param.norm == 2 else 1
    return [np.array((margin**power).sum() / len(rows))]


def contrastive(p, bottoms, params):
    """Pairs together, others apart."""
    q, total = p.contrastive_loss_param, 0.0
    for a, b, similar in zip(bottoms[0], bottoms[1], bottoms[2].flat, strict=True):
        squared = ((a - b) ** 2).sum()
        if int(similar):
            total += squared
        elif q.legacy_version:
            total += max(q.margin - squared, 0)
        else:
            total += max(q.margin - np.sqrt(squared), 0) ** 2
    return [np.array(total / len(bottoms[0]) / 2)]


def contrastive_gradient(p, bottoms, params, diffs):
    """Caffe's own: the distance is offset by 1e-4 where it divides."""
    q, out = p.contrastive_loss_param, np.zeros_like(bottoms[0])
    alpha = float(diffs[0]) / len(out)
    for i, similar in enumerate(bottoms[2].flat):
        d = bottoms[0][i] - bottoms[1][i]
        squared = (d**2).sum()
        if int(similar):
            out[i] = alpha * d
        elif q.legacy_version:
            out[i] = -alpha * d if squared < q.margin else 0
        elif np.sqrt(squared) < q.margin:
            out[i] = -alpha * (q.margin - np.sqrt(squared)) / (np.sqrt(squared) + 1e-4) * d
    return [out, -out, None], []


def accuracy(p, bottoms, params):
    """Share of labels that fewer than k others beat or equal; second top: that of each class."""
    q, (x, labels) = p.accuracy_param, bottoms
    axis = canonical(q.axis, x.ndim)
    right, seen = np.zeros(x.shape[axis]), np.zeros(x.shape[axis])
    for at, label in _positions(x, labels, axis):
        if q.HasField("ignore_label") and label == q.ignore_label:
            continue
        better = (x[at] >= x[at][label]).sum() - 1
        right[label] += better < q.top_k
        seen[label] += 1
    share = right.sum() / seen.sum() if seen.sum() else 0.0
    return [np.array(share), right / np.maximum(seen, 1)][: len(p.top)]


RNG = np.random.default_rng(8)
MAP = (2, 4, 2, 3)
MAP_LABELS = RNG.integers(0, 4, (2, 1, 2, 3))
SOME = MAP_LABELS.copy()
SOME[0, 0, 0], SOME[1, 0, 1, 1] = -1, -1
ROWS, ROW_LABELS = (4, 5), array(0, 4, 2, 2)
FAR = array([0.0, 200.0, 3.0], [-150.0, 0.0, 80.0])  # probabilities under the bounds
GAINS = RNG.normal(size=(1, 1, 5, 5)) ** 2
PROBS = RNG.dirichlet([1.0] * 5, 4)
TINY = array([0.0, 1.0, 0.0], [0.3, 0.3, 0.4])
TARGETS = RNG.uniform(size=(3, 4))
TIES = np.round(RNG.normal(size=(6, 4)))
PAIR = RNG.normal(size=(5, 3)) * 0.5
SAME = PAIR.copy()
SAME[2:] += RNG.normal(size=(3, 3)) * 0.3  # the first two pairs are equal

SOFT = maker("SoftmaxWithLoss", softmax_loss, labels=(1,))
GAIN = maker("InfogainLoss", infogain, labels=(1, 2))
MULTI = maker("MultinomialLogisticLoss", multinomial, labels=(1,))
CROSS = maker("SigmoidCrossEntropyLoss", cross_entropy, labels=(1,))
HINGE = maker("HingeLoss", hinge, labels=(1,))
PAIRS = maker("ContrastiveLoss", contrastive, labels=(2,), gradient=contrastive_gradient)
ACC = maker("Accuracy", accuracy, gradient="zero", labels=(0, 1))


def _loss(text):
    return f"loss_param {{ {text} }}"


CASES = [
    SOFT("map", "", MAP, MAP_LABELS),
    SOFT("probabilities", "loss_weight: 1 loss_weight: 0", MAP, MAP_LABELS, tops=2),
    SOFT("ignored", _loss("ignore_label: -1"), MAP, SOME),
    SOFT("ignored_batch_size", _loss("ignore_label: -1 normalize: false"), MAP, SOME),
    SOFT("full", _loss("ignore_label: -1 normalization: FULL"), MAP, SOME),
    SOFT("batch_size", _loss("normalization: BATCH_SIZE"), MAP, MAP_LABELS),
    SOFT("none", _loss("normalization: NONE normalize: true"), MAP, MAP_LABELS),
    SOFT("all_ignored", _loss("ignore_label: 2"), (2, 4), array(2, 2)),
    SOFT("axis_last", "softmax_param { axis: -1 }", MAP, RNG.integers(0, 3, (2, 4, 2))),
    SOFT("axis_2", "softmax_param { axis: 2 }", MAP, RNG.integers(0, 2, (2, 4, 3))),
    SOFT("at_the_bound", "", FAR, array(0, 0), gradient=softmax_loss_gradient),
    SOFT("formula", _loss("ignore_label: -1"), MAP, SOME, gradient=softmax_loss_gradient),
    GAIN("matrix", "", ROWS, ROW_LABELS, GAINS),
    GAIN("map", "infogain_loss_param { axis: 1 } " + _loss("ignore_label: -1 normalization: FULL"),
         MAP, SOME, GAINS[:, :, :4, :4]),
    GAIN("axis_last", "infogain_loss_param { axis: -1 }", (2, 2, 5), RNG.integers(0, 5, (2, 2)),
         GAINS),
    GAIN("at_the_bound", "", FAR, array(0, 0), GAINS[:, :, :3, :3], gradient=infogain_gradient),
    GAIN("formula", "", ROWS, ROW_LABELS, GAINS, gradient=infogain_gradient),
    MULTI("rows", "", PROBS, ROW_LABELS),
    MULTI("four_axes", "", PROBS.reshape(2, 5, 2, 1), array(7, 2)),
    MULTI("at_the_bound", "", TINY, array(0, 2), gradient=multinomial_gradient),
    maker("EuclideanLoss", euclidean)("map", "", (3, 2, 2), (3, 2, 2)),
    maker("EuclideanLoss", euclidean)("other_shape", "", (2, 6, 1, 1), (2, 2, 3)),
    CROSS("targets", "", (3, 4), TARGETS),
    CROSS("far", "", array([60.0, -70.0]), array([0.0, 1.0])),
    CROSS("ignored", _loss("ignore_label: -1 normalization: VALID"), (3, 4),
          np.where(TARGETS < 0.3, -1.0, TARGETS > 0.6)),
    CROSS("full", _loss("normalization: FULL"), (2, 3, 2), (RNG.random((2, 3, 2)) > 0.5)),
    CROSS("none", _loss("normalization: NONE"), (3, 4), TARGETS),
    CROSS("normalize", _loss("normalize: true ignore_label: -1"), (3, 4),
          np.where(TARGETS < 0.3, -1.0, TARGETS > 0.6)),
    HINGE("l1", "", ROWS, ROW_LABELS),
    HINGE("l2", "hinge_loss_param { norm: L2 }", ROWS, ROW_LABELS),
    HINGE("l2_map", "hinge_loss_param { norm: L2 }", (2, 3, 2, 1), array(5, 0)),
    PAIRS("plain", "contrastive_loss_param { margin: 1.5 }", (5, 3), (5, 3), array(1, 0, 0, 1, 0)),
    PAIRS("legacy", "contrastive_loss_param { margin: 4 legacy_version: true }", (5, 3), (5, 3),
          array(1, 0, 0, 1, 0)),
    PAIRS("equal_pairs", "", PAIR, SAME, array(0, 1, 0, 0.5, 2)),
    PAIRS("four_axes", "contrastive_loss_param { margin: 2 }", (2, 3, 1, 1), (2, 3, 1, 1),
          np.array([1.0, 0.0]).reshape(2, 1, 1, 1)),
    PAIRS("derivative", "contrastive_loss_param { margin: 4 legacy_version: true }", (5, 3), (5, 3),
          array(0, 0, 0, 1, 0), gradient="numeric"),
    ACC("ties", "", TIES, array(0, 1, 2, 3, 1, 1), tops=2),
    ACC("top_2_ties", "accuracy_param { top_k: 2 }", TIES, array(0, 1, 2, 3, 1, 1), tops=2),
    ACC("top_all", "accuracy_param { top_k: 4 }", TIES, array(0, 1, 2, 3, 1, 1)),
    ACC("ignored_map", "accuracy_param { ignore_label: -1 }", MAP, SOME, tops=2),
    ACC("axis_last", "accuracy_param { axis: -1 top_k: 2 }", MAP, RNG.integers(0, 3, (2, 4, 2))),
    ACC("all_ignored", "accuracy_param { ignore_label: 1 }", (2, 3), array(1, 1), tops=2),
]  # fmt: skip
