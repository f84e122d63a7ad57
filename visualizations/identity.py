"""What tells models, recipes and sets of photos apart: their content, not their names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optimize.command.open_model import ModelSpec
from toolbox.pictures.stamp import Stamp, stamp_of
from visualizations.errors import VisualizationsError

LENGTH = 8  # hexadecimal digits in a folder's name
_PHOTOS_READ = 4096  # of a larger set, so many are read, evenly spread; of all, name and size


def digest(value: Any) -> str:
    """Return a short text that a value (as JSON has it) determines."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:LENGTH]


def model_stamp(spec: ModelSpec) -> Stamp:
    """Return what identifies the network's two files; errors as of `stamp_of`."""
    return stamp_of(spec.prototxt, str(spec.weights))


def model_digest(spec: ModelSpec) -> str:
    """Return what a model's images depend on beside recipe and photos.

    Definition, weights, mean, order of channels, scales and what inputs hold count; names of
    files and labels do not.
    """
    stamp = model_stamp(spec)
    held = spec.held.to_json()
    return digest([
        stamp.net_sha256, stamp.weights_sha256, _content(spec.mean), spec.channel_swap_to_rgb,
        spec.data_size, spec.raw_scale, spec.input_scale, spec.channelwise_mean,
        {**held, "values": {name: _content(v) for name, v in held.get("values", {}).items()}},
    ])  # fmt: skip


def _content(value: Any) -> Any:
    """Return a file's content as a digest; other values as they are."""
    if isinstance(value, str):
        return _file_digest(value)
    return list(value) if isinstance(value, Sequence) else value


def _file_digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise VisualizationsError(f"{path} cannot be read: {error.strerror}") from error


def photos_digest(folder: Path, names: Sequence[str], how: Mapping[str, Any]) -> str:
    """Return what a scan of photos depends on.

    Parameters
    ----------
    folder : Path
        Where they are.
    names : sequence of str
        Lines of the list: path, tab, class.
    how : mapping
        How they become the network's input.
    """
    found = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
    every = max(1, -(-len(names) // _PHOTOS_READ))
    for number, line in enumerate(names):
        path = folder / line.split("\t")[0]
        found.update(line.encode("utf-8", "surrogateescape") + b"\n")
        try:
            size = os.stat(path).st_size
            data = path.read_bytes() if number % every == 0 else b""
        except OSError:
            size, data = -1, b""  # the scan reports it as a bad file
        found.update(f"{size}\n".encode() + hashlib.sha256(data).digest())
    return found.hexdigest()[:LENGTH]
