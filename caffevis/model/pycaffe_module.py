"""Finds and imports pycaffe, the Python package of a compiled Caffe."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

LOG_LEVEL = "GLOG_minloglevel"  # what glog reads from the environment
_OF_MODULE = ("Net", "TEST", "set_mode_cpu", "set_mode_gpu", "set_device")
_OF_NET = ("blobs", "layers", "inputs", "top_names", "bottom_names", "forward", "reshape",
           "_layer_names", "_backward")  # fmt: skip


class NoPycaffeError(Exception):
    """There is no pycaffe to run on; why, as a clause of a sentence."""


def load(root: str) -> ModuleType:
    """Import pycaffe from a Caffe's folder.

    Parameters
    ----------
    root : str
        `caffevis_caffe_root`: its `python` folder holds the package `caffe`.

    Returns
    -------
    module
        `caffe`; the folder stays first on `sys.path`, for its Python layers.

    Raises
    ------
    NoPycaffeError
        There is none, it cannot be imported by this Python, or it lacks what is needed.
    """
    folder = Path(root).expanduser().absolute() / "python"
    if not (folder / "caffe").is_dir():
        raise NoPycaffeError(f"there is no {folder / 'caffe'}")
    path, known = list(sys.path), set(sys.modules)
    # Caffe tells of every layer that it builds; errors are still printed.
    os.environ.setdefault(LOG_LEVEL, "2")
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module("caffe")
        _check(module, folder)
    except (Exception, SystemExit) as error:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.split(".")[0] == "caffe"]:
            if name not in known:
                del sys.modules[name]
        if isinstance(error, NoPycaffeError):
            raise
        raise NoPycaffeError(
            f"{folder / 'caffe'} cannot be imported by this Python: {reason_of(error)}"
        ) from error
    return module


def _check(module: ModuleType, folder: Path) -> None:
    """Refuse a module from elsewhere, and one without the names that are used."""
    file = getattr(module, "__file__", None)
    if file is None or folder not in Path(file).absolute().parents:
        raise NoPycaffeError(f"{folder / 'caffe'} is no package, or another was imported before")
    missing = [name for name in _OF_MODULE if not hasattr(module, name)]
    bundled = not missing and module.Net.__module__.startswith("torchcaffe.")
    if not missing and not bundled:  # a checkout's python/caffe has them in its nets
        missing = [f"Net.{name}" for name in _OF_NET if not hasattr(module.Net, name)]
    if missing:
        raise NoPycaffeError(f"{folder / 'caffe'} has no {missing[0]} (too old, or no pycaffe)")


def reason_of(error: BaseException) -> str:
    """Say an exception in one line."""
    text = str(error).strip().split("\n", 1)[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
