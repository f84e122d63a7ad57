"""Finding and importing pycaffe: what is there, what is broken, what is too old."""

import os
import sys

import pytest

from caffevis.model.pycaffe_module import LOG_LEVEL, NoPycaffeError, load
from tests.pycaffe.tree import write_caffe

BROKEN = {
    "compiled for another Python": (
        "raise ImportError('dynamic module does not define module export function')",
        "cannot be imported by this Python: ImportError: dynamic module",
    ),
    "Python 2": ("print 'caffe'", "cannot be imported by this Python: SyntaxError"),
    "protobuf": (
        "raise TypeError('Descriptors cannot be created directly.\\nIf this call ...')",
        r"TypeError: Descriptors cannot be created directly$",
    ),
    "exits": ("raise SystemExit('no GPU')", "SystemExit: no GPU"),
    "missing library": ("import skimage_that_is_not_there", "ModuleNotFoundError"),
    "empty": ("", "has no Net"),
    "old": (
        "class Net: blobs = layers = None\nTEST = 1\nset_mode_cpu = set_mode_gpu = set_device = id",
        "has no Net.inputs",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_pycaffe_is_refused_and_leaves_nothing_behind(tmp_path, case):
    body, message = BROKEN[case]
    root = write_caffe(tmp_path / "caffe", init=body)
    path = list(sys.path)
    with pytest.raises(NoPycaffeError, match=message) as caught:
        load(str(root))
    assert "\n" not in str(caught.value)
    assert sys.path == path
    assert "caffe" not in sys.modules


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(NoPycaffeError, match=r"there is no .*nowhere/python/caffe"):
        load(str(tmp_path / "nowhere"))


def test_another_caffe_in_memory_is_not_taken_for_this_one(tmp_path):
    first = load(str(write_caffe(tmp_path / "first")))
    with pytest.raises(NoPycaffeError, match="another was imported before"):
        load(str(write_caffe(tmp_path / "second")))
    assert sys.modules["caffe"] is first


def test_pycaffe_is_imported_quietly_and_first_on_the_path(tmp_path, monkeypatch):
    root = write_caffe(tmp_path / "caffe")
    module = load(str(root))
    assert load(str(root)) is module
    assert sys.path.count(str(root / "python")) == 1
    assert sys.path[0] == str(root / "python")
    assert os.environ[LOG_LEVEL] == "2"


def test_what_the_user_wants_to_read_stays(tmp_path, monkeypatch):
    monkeypatch.setenv(LOG_LEVEL, "0")
    load(str(write_caffe(tmp_path / "caffe")))
    assert os.environ[LOG_LEVEL] == "0"
