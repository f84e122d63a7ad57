"""Checkpoints as plain `.npz` files (no pickle), written beside and renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch


def _momentum(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    out = {}
    for i, group in enumerate(optimizer.param_groups):
        for j, parameter in enumerate(group["params"]):
            buffer = optimizer.state[parameter].get("momentum_buffer")
            if buffer is not None:
                out[f"{i}.{j}"] = buffer
    return out


def _set_momentum(optimizer: torch.optim.Optimizer, arrays: dict[str, torch.Tensor]) -> None:
    for key, value in arrays.items():
        i, j = map(int, key.split("."))
        parameter = optimizer.param_groups[i]["params"][j]
        optimizer.state[parameter]["momentum_buffer"] = value.to(parameter)


def save_checkpoint(file: Path, epoch: int, parts: dict[str, Any]) -> None:
    """Write every part's tensors under `<part>/<name>`, and the number of epochs done."""
    arrays = {"epoch": np.array(epoch)}
    for name, part in parts.items():
        is_optimizer = isinstance(part, torch.optim.Optimizer)
        tensors = _momentum(part) if is_optimizer else part.state_dict()
        arrays |= {f"{name}/{key}": value.cpu().numpy() for key, value in tensors.items()}
    beside = file.with_suffix(".tmp.npz")
    np.savez(beside, allow_pickle=False, **arrays)
    os.replace(beside, file)


def load_checkpoint(file: Path, parts: dict[str, Any], *, partial: bool = False) -> int:
    """Fill the parts from `file`; `partial` takes only tensors of the same name and shape."""
    with np.load(file, allow_pickle=False) as arrays:
        for name, part in parts.items():
            prefix = f"{name}/"
            tensors = {
                key[len(prefix) :]: torch.from_numpy(arrays[key])
                for key in arrays.files
                if key.startswith(prefix)
            }
            if isinstance(part, torch.optim.Optimizer):
                _set_momentum(part, tensors)
                continue
            own = part.state_dict()
            if partial:
                tensors = {k: v for k, v in tensors.items() if k in own and own[k].shape == v.shape}
            part.load_state_dict(tensors, strict=not partial)
        return int(arrays["epoch"])
