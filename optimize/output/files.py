"""Writing results: whole or not at all, and the same bytes for the same results."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optimize.errors import OptimizeError
from toolbox.pictures.array_file import DAMAGED

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every array's entry in an .npz


def reason(error: OSError) -> str:
    """Return what the system says, in lower case."""
    return (error.strerror or type(error).__name__).lower()


def write(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it.

    The name beside it is always the same, so that what a killed run leaves is overwritten by
    the next one.

    Raises
    ------
    OptimizeError
        The file system refuses.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise OptimizeError(f"{path} cannot be written: {reason(error)}") from error


def check_folder(folder: Path) -> None:
    """Make a folder, and make sure that files can be written into it.

    Raises
    ------
    OptimizeError
        They can't.
    """
    probe = folder / ".writable.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OptimizeError(f"nothing can be written into {folder}: {reason(error)}") from error


def json_bytes(value: Any) -> bytes:
    """Return a value as a JSON file's bytes; numbers that are not finite become null."""
    return (json.dumps(_finite(value), indent=1) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Return a JSON file's value; None where it is absent or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_object(path: Path) -> dict[str, Any] | None:
    """Return a JSON file's object; None where it is absent, damaged or something else."""
    found = read_json(path)
    return found if isinstance(found, dict) else None


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as an .npz file's bytes, without the time that NumPy's savez puts in."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + ".npy", _EPOCH), part.getvalue())
    return out.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray] | None:
    """Return an .npz file's arrays; None where it is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
            return arrays if all(isinstance(a, np.ndarray) for a in arrays.values()) else None
    except DAMAGED:
        return None
