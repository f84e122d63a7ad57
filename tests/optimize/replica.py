"""The original's loop, slow and plain: NumPy, SciPy, float64, one image, the whole net."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

import torchcaffe as caffe
from optimize import FindParams


def step_size(p: FindParams, g: np.ndarray, obj: float, i: int) -> float:
    size, numbers = float(np.linalg.norm(g)), dict(p.lr_params or {})
    if p.lr_policy == "constant":
        return numbers["lr"]
    if p.lr_policy == "progress":
        return min(numbers["max_lr"], numbers["desired_prog"] / size**2)
    if p.lr_policy == "progress01":
        wanted = min(numbers["early_prog"], numbers["late_prog_mult"] * (1 - obj))
        return min(numbers["max_lr"], wanted / size**2)
    late = i >= p.max_iter / 2
    seen = np.argwhere(g.any(0))  # the unit's receptive field
    values = len(g) * np.prod(seen.max(0) - seen.min(0) + 1)
    return numbers["late_step" if late else "step"] / float(np.sqrt((g**2).sum() / values))


def decayed(x: np.ndarray, p: FindParams) -> np.ndarray:
    return x * (1 - p.decay)


def blurred(x: np.ndarray, p: FindParams, i: int) -> np.ndarray:
    if p.blur_every and p.blur_radius and i % p.blur_every == 0:
        x = np.stack([gaussian_filter(plane, p.blur_radius) for plane in x])
    return x


def small_values(x: np.ndarray, p: FindParams) -> np.ndarray:
    if p.small_val_percentile > 0:
        x = x * ~(np.abs(x) < np.percentile(np.abs(x), p.small_val_percentile))
    return x


def small_norms(x: np.ndarray, p: FindParams) -> np.ndarray:
    if p.small_norm_percentile > 0:
        norms = np.linalg.norm(x, axis=0)
        x = x * ~(norms < np.percentile(norms, p.small_norm_percentile))
    return x


def benefits(x: np.ndarray, g: np.ndarray, p: FindParams) -> np.ndarray:
    if p.px_benefit_percentile > 0:
        benefit = (-x * g).sum(0)
        x = x * ~(benefit < np.percentile(benefit, p.px_benefit_percentile))
    return x


def absolute_benefits(x: np.ndarray, g: np.ndarray, p: FindParams) -> np.ndarray:
    if p.px_abs_benefit_percentile > 0:
        benefit = np.abs((-x * g).sum(0))
        x = x * ~(benefit < np.percentile(benefit, p.px_abs_benefit_percentile))
    return x


def start(p: FindParams, mean: np.ndarray) -> np.ndarray:
    random = np.random.RandomState(p.rand_seed)
    if p.start_at == "mean_plus_rand":
        return random.normal(0, 10, mean.shape)
    if p.start_at == "randu":
        return random.uniform(0, 255, mean.shape) - mean
    return np.zeros(mean.shape)


def ascend(
    net: caffe.Net, mean: np.ndarray, p: FindParams, unit: tuple[int, ...]
) -> dict[str, object]:
    """Return the lists of an ascent; `unit` indexes the layer's values of one image."""
    x0 = x = start(p, mean)
    out: dict[str, list[object]] = {n: [] for n in ("obj", "norm", "std", "dist", "ismax")}
    for i in range(p.max_iter):
        x = np.minimum(255.0, np.maximum(0.0, x + mean)) - mean
        net.forward(data=x[None])
        values = net.blobs[p.push_layer].data[0]
        obj = float(values[unit])
        out["obj"].append(obj)
        out["norm"].append(np.linalg.norm(x))
        out["std"].append(x.std())
        out["dist"].append(np.linalg.norm(x - x0))
        out["ismax"].append(tuple(np.unravel_index(values.argmax(), values.shape)) == unit)
        diff = np.zeros_like(values[None])
        diff[(0, *unit)] = p.push_dir
        g = net.backward_from_layer(p.push_layer, diff, zero_higher=True)["data"][0].copy()
        if not g.any():
            break
        if i < p.max_iter - 1:
            x = x + step_size(p, g, obj, i) * g
            x = blurred(decayed(x, p), p, i)
            x = small_norms(small_values(x, p), p)
            x = absolute_benefits(benefits(x, g, p), g, p)
    return {**out, "last": x}
