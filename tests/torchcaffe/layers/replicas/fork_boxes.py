"""Layers of forks that choose boxes: SSD's DetectionOutput and PVANET's Proposal, box by box."""

from __future__ import annotations

import math

import numpy as np

from tests.torchcaffe.layers.replicas.case import array, maker

CORNER, CENTER_SIZE = 1, 2


def _decoded(p, offset, prior, variance):
    q = p.detection_output_param
    v = [1.0] * 4 if q.variance_encoded_in_target else variance
    x1, y1, x2, y2 = prior
    width, height = x2 - x1, y2 - y1
    if q.code_type == CENTER_SIZE:
        cx = v[0] * offset[0] * width + (x1 + x2) / 2
        cy = v[1] * offset[1] * height + (y1 + y2) / 2
        w, h = math.exp(v[2] * offset[2]) * width, math.exp(v[3] * offset[3]) * height
        return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
    size = [1, 1, 1, 1] if q.code_type == CORNER else [width, height, width, height]
    return [c + vi * o * s for c, vi, o, s in zip(prior, v, offset, size, strict=True)]


def _overlap(a, b, extra):
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + extra) * (c[3] - c[1] + extra) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def _suppressed(boxes, order, threshold, eta, extra=0):
    """Go through the boxes from the best on, each against all that were kept."""
    kept = []
    for i in order:
        if all(_overlap(boxes[i], boxes[k], extra) <= threshold for k in kept):
            kept.append(i)
            if eta < 1 and threshold > 0.5:
                threshold *= eta
    return kept


def _one_image(p, image, offsets, scores, priors, variances):
    q = p.detection_output_param
    found = []
    for label in range(q.num_classes):
        if label == q.background_label_id:
            continue
        kind = 0 if q.share_location else label
        boxes = [
            _decoded(p, o[kind], b, v) for o, b, v in zip(offsets, priors, variances, strict=True)
        ]
        own = scores[:, label]
        least = q.confidence_threshold if q.HasField("confidence_threshold") else -math.inf
        order = sorted((i for i in range(len(own)) if own[i] > least), key=lambda i: -own[i])
        if q.nms_param.HasField("top_k"):
            order = order[: q.nms_param.top_k]
        for i in _suppressed(boxes, order, q.nms_param.nms_threshold, q.nms_param.eta):
            found.append([image, label, own[i], *boxes[i]])
    if q.keep_top_k > -1 and len(found) > q.keep_top_k:
        found = sorted(found, key=lambda row: -row[2])[: q.keep_top_k]
        found = sorted(found, key=lambda row: row[1])
    return found


def detection_output(p, bottoms, params):
    """SSD's."""
    q = p.detection_output_param
    kinds = 1 if q.share_location else q.num_classes
    priors, variances = bottoms[2].reshape(2, -1, 4)
    rows = []
    for image in range(len(bottoms[0])):
        offsets = bottoms[0][image].reshape(-1, kinds, 4)
        scores = bottoms[1][image].reshape(-1, q.num_classes)
        rows += _one_image(p, image, offsets, scores, priors, variances)
    rows = rows or [[image, *[-1] * 6] for image in range(len(bottoms[0]))]
    return [np.array(rows).reshape(1, 1, -1, 7)]


def _anchor(base, ratio, scale):
    width = math.floor(math.sqrt(base * base / ratio) + 0.5)
    height = math.floor(width * ratio + 0.5)
    centre = (base - 1) / 2
    half = [(width * scale - 1) / 2, (height * scale - 1) / 2]
    return [centre - half[0], centre - half[1], centre + half[0], centre + half[1]]


def _moved(anchor, offset, info):
    width, height = anchor[2] - anchor[0] + 1, anchor[3] - anchor[1] + 1
    cx = offset[0] * width + anchor[0] + width / 2
    cy = offset[1] * height + anchor[1] + height / 2
    w, h = math.exp(offset[2]) * width, math.exp(offset[3]) * height
    corners = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
    return [max(0.0, min(c, info[1 - i % 2] - 1)) for i, c in enumerate(corners)]


def proposal(p, bottoms, params):
    """PVANET's: boxes that are too small have the score 0."""
    q, (scores, offsets, info) = p.proposal_param, bottoms
    info = list(info.ravel())
    anchors = [_anchor(q.base_size, r, s) for r in q.ratio for s in q.scale]
    count, (height, width) = len(anchors), scores.shape[2:]
    if not any(info[:2]):
        info = [height * q.feat_stride, width * q.feat_stride, 1.0]
    down, across = info[2], info[3] if len(info) == 4 else info[2]
    rows = []
    for image in range(len(scores)):
        boxes, values = [], []
        for h, w, k in np.ndindex(height, width, count):
            shift = [w * q.feat_stride, h * q.feat_stride] * 2
            start = [a + s for a, s in zip(anchors[k], shift, strict=True)]
            box = _moved(start, offsets[image, 4 * k : 4 * k + 4, h, w], info)
            large = (
                box[2] - box[0] + 1 >= q.min_size * across
                and box[3] - box[1] + 1 >= q.min_size * down
            )
            boxes.append(box)
            values.append(scores[image, count + k, h, w] * large)
        order = sorted(range(len(boxes)), key=lambda i: -values[i])[: q.pre_nms_topn]
        kept = _suppressed(boxes, order, q.nms_thresh, 1.0, extra=1)[: q.post_nms_topn]
        rows += [[image, *boxes[i], values[i]] for i in kept]
    table = np.array(rows)
    return [table[:, :5], table[:, 5]][: len(p.top)]


def _priors(seed, count):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.6, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.1, 0.4, (count, 2))], 1)
    return np.stack([boxes.ravel(), np.tile([0.1, 0.1, 0.2, 0.2], count)])[None]


def _scores(seed, *shape):
    return np.random.default_rng(seed).uniform(0, 1, shape)


DETECTION = maker("DetectionOutput", detection_output, gradient="zero")
PROPOSAL = maker("Proposal", proposal, gradient="zero")
_NMS = "nms_param { nms_threshold: 0.45 top_k: 9 }"
_ANCHORS = "base_size: 8 ratio: 0.5 ratio: 1 ratio: 2 scale: 1 scale: 2 feat_stride: 4"
CASES = [
    DETECTION("centre_size", "detection_output_param { num_classes: 3 code_type: CENTER_SIZE "
              f"confidence_threshold: 0.3 {_NMS} }}", (2, 48), _scores(1, 2, 36), _priors(2, 12)),
    DETECTION("kept_few", "detection_output_param { num_classes: 4 code_type: CENTER_SIZE "
              f"keep_top_k: 5 {_NMS} }}", (2, 48), _scores(3, 2, 48), _priors(4, 12)),
    DETECTION("corner_each_class", "detection_output_param { num_classes: 2 share_location: false "
              "background_label_id: -1 variance_encoded_in_target: true "
              "nms_param { nms_threshold: 0.2 } }", array(*_scores(5, 1, 80) * 0.2),
              _scores(6, 1, 20), _priors(7, 10)),
    DETECTION("corner_size_eta", "detection_output_param { num_classes: 3 code_type: CORNER_SIZE "
              "nms_param { nms_threshold: 0.9 eta: 0.6 } }", (1, 40), _scores(8, 1, 30),
              _priors(9, 10)),
    DETECTION("nothing", "detection_output_param { num_classes: 2 confidence_threshold: 2 }",
              (3, 16), _scores(10, 3, 8), _priors(11, 4)),
    PROPOSAL("scores", f"proposal_param {{ {_ANCHORS} min_size: 4 pre_nms_topn: 40 "
             "post_nms_topn: 7 nms_thresh: 0.4 }", _scores(12, 1, 12, 3, 4), (1, 24, 3, 4),
             array([40.0, 50.0, 1.5]), tops=2),
    PROPOSAL("two_images", f"proposal_param {{ {_ANCHORS} min_size: 9 post_nms_topn: 5 }}",
             _scores(13, 2, 12, 2, 3), (2, 24, 2, 3), array([30.0, 28.0, 1.0, 0.5])),
    PROPOSAL("size_not_given", f"proposal_param {{ {_ANCHORS} min_size: 2 }}",
             _scores(14, 1, 12, 2, 2), (1, 24, 2, 2), array([0.0, 0.0, 0.0])),
]  # fmt: skip
