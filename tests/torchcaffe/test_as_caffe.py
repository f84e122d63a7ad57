"""`import caffe` through python/: torchcaffe's own objects, and programs run unchanged."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import torchcaffe
from torchcaffe.process.as_caffe import MODULES, importing_as_caffe, name_modules

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
sys.path.insert(0, {python!r})
import caffe
import caffe.draw
import caffe.io
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
import caffe.proto.caffe_pb2 as again
from caffe.pycaffe import Net
import torchcaffe

for name in torchcaffe.__all__:
    assert getattr(caffe, name) is getattr(torchcaffe, name), name
assert caffe.Net is Net is torchcaffe.Net and caffe.Layer is torchcaffe.Layer
assert caffe_pb2 is again is torchcaffe.proto.caffe_pb2 is caffe.proto.caffe_pb2
assert caffe.io is torchcaffe.io and caffe.io.caffe_pb2 is caffe_pb2
assert caffe.draw is torchcaffe.draw
assert caffe_pb2.NetParameter is torchcaffe.proto.caffe_pb2.NetParameter
net = caffe.NetSpec()
net.data = L.Input(shape=dict(dim=[1, 3]))
net.pool = L.ReLU(net.data)
print(caffe.__version__, len(caffe.Net.from_param(net.to_proto()).layers), P.Pooling.MAX)
"""


def run(program: str, folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True,
        text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_outside_the_checkout_imports_caffe(tmp_path):
    printed = run(PROGRAM.format(python=str(ROOT / "python")), tmp_path)
    assert printed == f"{torchcaffe.__version__} 2 0\n"


@pytest.fixture
def no_caffe():
    """Keep the modules named `caffe` as they were."""
    before = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "caffe"}
    for name in before:
        del sys.modules[name]
    yield
    for name in [n for n in sys.modules if n.split(".")[0] == "caffe"]:
        del sys.modules[name]
    sys.modules.update(before)


def test_the_names_stay_for_imports_inside_functions(no_caffe):
    with importing_as_caffe():
        import caffe

        assert caffe is torchcaffe
    assert sys.modules["caffe.io"] is torchcaffe.io


def test_another_caffe_keeps_its_names(no_caffe):
    theirs, their_io = types.ModuleType("caffe"), types.ModuleType("caffe.io")
    sys.modules["caffe"], sys.modules["caffe.io"] = theirs, their_io
    with importing_as_caffe():
        assert sys.modules["caffe"] is torchcaffe
    assert sys.modules["caffe"] is theirs and sys.modules["caffe.io"] is their_io
    assert "caffe.draw" not in sys.modules


def test_a_checkouts_caffe_is_left_in_place(no_caffe):
    package = types.ModuleType("caffe")
    package.Net = torchcaffe.Net
    name_modules(package)
    with importing_as_caffe():
        assert sys.modules["caffe"] is package
    assert {f"caffe.{name}" for name in MODULES} <= set(sys.modules)


def test_solvers_are_one_sentence():
    with pytest.raises(AttributeError, match="no SGDSolver: it runs nets and trains none"):
        torchcaffe.SGDSolver("solver.prototxt")
    with pytest.raises(AttributeError, match="no attribute 'Nett'"):
        getattr(torchcaffe, "Nett" + "")
