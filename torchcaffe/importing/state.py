"""Weights of modules: .pth without running what is in them, and .safetensors."""

from __future__ import annotations

import json
import math
import pickle
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.blobs.blob import checked_shape
from torchcaffe.errors import FileError, ShapeError

State = dict[str, Tensor]
_INSIDE = ("state_dict", "model_state_dict", "model", "net", "module")
_SAFE_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


def load_state(module: nn.Module, path: Path) -> None:
    """Put the weights of a file into a module.

    Parameters
    ----------
    module : torch.nn.Module
        Keeps its own weights where the file is refused.
    path : Path
        A state dict, .safetensors or written by `torch.save`; also one inside a checkpoint
        (`state_dict`, `model`), and one of a module within another, whose names all have a prefix
        (`module.` of several GPUs, `_orig_mod.` of torch.compile, `model.` of Lightning).

    Raises
    ------
    FileError
        The file can't be read, or would run code.
    ShapeError
        It belongs to another module.
    """
    state = _read_safe(path) if path.suffix == ".safetensors" else _read_torch(path)
    own = module.state_dict()
    if not set(own) & set(state):
        prefix = _prefix(own, state)
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    missing = [name for name in own if name not in state]
    extra = [name for name in state if name not in own]
    wrong = [n for n in own if n in state and own[n].shape != state[n].shape]
    reasons = [
        f"it lacks {_some(missing)}" if missing else "",
        f"it has {_some(extra)}, which the module has not" if extra else "",
        f"{wrong[0]} has the shape {tuple(state[wrong[0]].shape)}, not "
        f"{tuple(own[wrong[0]].shape)}" if wrong else "",
    ]  # fmt: skip
    if any(reasons):
        raise ShapeError(
            f"{path} does not fit {type(module).__name__}: {'; '.join(filter(None, reasons))}; "
            "name the weights and the function that belong together"
        )
    module.load_state_dict(state)


def _prefix(own: Iterable[str], state: Iterable[str]) -> str:
    """Return what stands before the module's own names in a file; nothing where none fits."""
    first = next(iter(own), "")
    found = [name.removesuffix(first) for name in state if name.endswith(f".{first}")]
    return min(found, key=len, default="")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


# What PyTorch's reader of damaged files ends in.
_UNREADABLE = (
    RuntimeError, ValueError, TypeError, EOFError, LookupError, AttributeError, AssertionError,
    ArithmeticError, MemoryError, struct.error,
)  # fmt: skip


def _read_torch(path: Path) -> State:
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileError(f"could not open file {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise FileError(
            f"{path} holds more than tensors, and loading that would run code from the file; save "
            "the weights alone: torch.save(model.state_dict(), 'state.pth')"
        ) from error
    except _UNREADABLE as error:
        raise FileError(
            f"{path} holds no weights that torch.load can read, or is cut off; write it with "
            "torch.save(model.state_dict(), 'state.pth')"
        ) from error
    for name in _INSIDE:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
            break
    state = dict(held) if isinstance(held, Mapping) else {}
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise FileError(f"{path} holds no weights by name; save model.state_dict()")
    return tensors


def _read_safe(path: Path) -> State:
    """Read a .safetensors file: the length of a JSON header, the header, raw numbers."""
    try:
        data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        raw = bytearray(data[8 + length :])
        return {
            name: _tensor(name, entry, raw)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except OSError as error:
        raise FileError(f"could not open file {path}: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise FileError(f"{path} is no .safetensors file, or is cut off ({error})") from error


def _tensor(name: str, entry: dict[str, Any], raw: bytearray) -> Tensor:
    shape, dtype = checked_shape(entry["shape"], name), _SAFE_DTYPES[entry["dtype"]]
    start, end = entry["data_offsets"]
    if end - start != math.prod(shape) * dtype.itemsize or not 0 <= start <= end <= len(raw):
        raise ValueError(f"{name} has {end - start} bytes for the shape {shape}")
    if not math.prod(shape):
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(raw[start:end], dtype=dtype).reshape(shape)
