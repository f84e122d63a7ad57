"""A net that computed on several threads computes in a forked process too, as in Caffe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# The child must not inherit this process's threads: each case is a process of its own.
BEGIN = "import ctypes, os, signal, sys, threading\n"
NO_PAUSE = """
class Without(ctypes.CDLL):  # an OpenMP that cannot let its threads go
    def __init__(self, name, *args, **more):
        if "omp" in str(name):
            raise OSError("not here")
        super().__init__(name, *args, **more)

ctypes.CDLL = Without
"""
BODY = """
import torch
import torchcaffe as caffe

caffe.set_threads(2)
net = caffe.Net("net.prototxt", caffe.TEST)
net.blobs["data"].data[...] = 1

def compute():
    out = float(net.forward()["ip"].sum())
    net.backward()
    return out

if sys.argv[1] == "thread":  # computed elsewhere, forked here
    results = []
    thread = threading.Thread(target=lambda: results.append(compute()))
    thread.start()
    thread.join()
    expected = results[0]
else:
    expected = compute()
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a child that waits for ever
    os._exit(0 if abs(compute() - expected) <= 1e-3 * abs(expected) else 3)
_, status = os.waitpid(child, 0)
again = compute()
print(os.waitstatus_to_exitcode(status), abs(again - expected) <= 1e-3 * abs(expected))
"""
# Large enough that PyTorch and oneDNN spread it over threads.
NET = """
force_backward: true
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 8 dim: 96 dim: 96 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 16 kernel_size: 5
    weight_filler { type: "constant" value: 0.01 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" }
layer { name: "ip" type: "InnerProduct" bottom: "norm" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "constant" value: 0.001 } } }
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    "fallback, where",
    [(False, "here"), (False, "thread"), (True, "here")],
    ids=["threads end", "computed in another thread", "one thread"],
)
def test_a_forked_process_computes(tmp_path, fallback, where):
    (tmp_path / "net.prototxt").write_text(NET, encoding="utf-8")
    program = BEGIN + (NO_PAUSE if fallback else "") + BODY
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program, where],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "0 True\n"), done.stderr
