"""Writes the stand-in as a Caffe's folder, and forgets modules between tests."""

import shutil
import sys
from pathlib import Path

NETS = {"BVLC": "Net", "deconv": "DeconvNet"}
STAND_IN = Path(__file__).with_name("stand_in.py")
NAMES = "TRAIN, TEST, set_mode_cpu, set_mode_gpu, set_device"


def write_caffe(root: Path, kind: str = "BVLC", init: str | None = None) -> Path:
    """Write `<root>/python/caffe`, as `make pycaffe` leaves it; `init` replaces its contents."""
    package = root / "python" / "caffe"
    package.mkdir(parents=True)
    if init is None:
        shutil.copy(STAND_IN, package / "_caffe.py")
        init = f"from ._caffe import {NETS[kind]} as Net\nfrom ._caffe import {NAMES}\n"
    (package / "__init__.py").write_text(init, encoding="utf-8")
    return root


def forget_caffe() -> None:
    """Let the next test import another `caffe`."""
    for name in [name for name in sys.modules if name.split(".")[0] == "caffe"]:
        del sys.modules[name]
