"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import cv2
import numpy as np
import torch


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe() -> str:
    """Name machine, load, threads and versions, for the top of the report."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    lines = []
    if load and os.getloadavg()[0] > 0.5:
        lines = ["note      other work runs here: several threads that wait for one another suffer"]
    return "\n".join(
        [
            f"machine   {_processor()}, {os.cpu_count()} cores{load}, {gpu}",
            f"system    {platform.platform()}, Python {platform.python_version()}",
            f"PyTorch   {torch.__version__}, {torch.get_num_threads()} threads",
            f"OpenCV    {cv2.__version__}, {cv2.getNumThreads()} threads",
            f"numpy     {np.__version__}",
            *lines,
        ]
    )
