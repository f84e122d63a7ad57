"""Batch normalisation and local response normalisation."""

from __future__ import annotations

import torch

from torchcaffe.importing.operators.registry import Matched, Part, layer, one, row


@row(
    "batch_norm.default",
    "_native_batch_norm_legit_no_training.default",
    "native_batch_norm.default",
    "cudnn_batch_norm.default",
)
def batch_norm(m: Matched) -> list[Part] | None:
    """BatchNorm with stored statistics, and Scale for weight and bias."""
    mean, variance = m.tensor("running_mean"), m.tensor("running_var")
    part = one("BatchNorm", m.blob("input"))
    if part is None or mean is None or variance is None or m["training"] or not m.only_output():
        return None
    part.blobs = [str(m.constant("running_mean")), str(m.constant("running_var")), torch.ones(1)]
    p = part.param.batch_norm_param
    p.eps = m["eps"]
    p.use_global_stats = True
    weight, bias = m.tensor("weight"), m.tensor("bias")
    if weight is None and bias is None:
        return [part]
    part.suffix, scale = ".norm", Part(layer("Scale"), [], in_place=True)
    factor = m.constant("weight")
    scale.blobs = [torch.ones_like(mean) if factor is None else factor]
    if bias is not None:
        scale.blobs.append(str(m.constant("bias")))
        scale.param.scale_param.bias_term = True
    return [part, scale]
