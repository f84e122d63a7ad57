"""`import caffe` gives torchcaffe: the same objects under pycaffe's names.

It is found once `<checkout>/python` is on `sys.path`.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
if importlib.util.find_spec("torchcaffe") is None and (_ROOT / "torchcaffe").is_dir():
    sys.path.append(str(_ROOT))  # the checkout's, where none is installed

_torchcaffe = importlib.import_module("torchcaffe")
importlib.import_module("torchcaffe.process.as_caffe").name_modules(sys.modules[__name__])

__all__ = list(_torchcaffe.__all__)
__version__ = _torchcaffe.__version__


def __getattr__(name: str) -> object:
    return getattr(_torchcaffe, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_torchcaffe)})
