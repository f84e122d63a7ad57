"""Imported nets compute what eager PyTorch computes: values, gradients, rules, fields."""

from __future__ import annotations

import functools
import logging

import numpy as np
import pytest
import torch

import torchcaffe as caffe
from tests.torchcaffe.importing.oracle import ByRule, Recorded
from tests.torchcaffe.importing.zoo import SIZE, ZOO, example, make
from torchcaffe.importing import from_torch


@functools.cache
def imported(name: str) -> caffe.Net:
    return from_torch(make(name), (3, SIZE, SIZE))


def run(net: caffe.Net, x: torch.Tensor) -> caffe.Net:
    net.blobs[net.inputs[0]].reshape(*x.shape)
    net.reshape()
    net.blobs[net.inputs[0]].data[...] = x.numpy()
    net.forward()
    return net


def error(found: np.ndarray, wanted: torch.Tensor) -> float:
    """Return the largest difference relative to the largest value."""
    right = wanted.detach().numpy()
    assert found.shape == right.shape
    return float(np.abs(found - right).max() / max(np.abs(right).max(), 1e-6))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ZOO)
def test_every_blob_is_what_the_module_of_its_name_returns(name, batch):
    x = example(batch)
    eager, net = Recorded(make(name), x), run(imported(name), x)
    compared = [path for path in eager.outputs if path in net.blobs]
    leaves = [p for p, m in make(name).named_modules() if not list(m.children()) and p]
    assert set(leaves) <= set(net.blobs) | {"multi.out_proj"}
    for path in compared:
        assert error(net.blobs[path].data, eager.outputs[path]) < 1e-5, path
    assert len(net.outputs) == len(eager.final)
    for blob, wanted in zip(net.outputs, eager.final, strict=True):
        assert error(net.blobs[blob].data, wanted) < 1e-5


def starts(name: str, eager: Recorded, net: caffe.Net) -> list[tuple[str, torch.Tensor]]:
    """Return a middle and the last place to go back from: blob, eager tensor."""
    paths = [path for path in eager.outputs if path in net.blobs]
    middle = [(paths[len(paths) // 2], eager.outputs[paths[len(paths) // 2]])] if paths else []
    return [*middle, (net.outputs[0], eager.final[0])]


@pytest.mark.parametrize("rule", ["backprop", "deconv", "guided"])
@pytest.mark.parametrize("name", ZOO)
def test_diffs_go_back_as_autograd_says(name, rule):
    x = example(2)
    net = run(imported(name), x)
    with ByRule(rule):
        eager = Recorded(make(name), x)
        for blob, tensor in starts(name, eager, net):
            torch.manual_seed(3)
            diff = torch.randn(tensor.shape)
            wanted = eager.gradient(tensor, diff)
            back = {
                "backprop": net.backward_from_layer,
                "deconv": net.deconv_from_layer,
                "guided": net.guided_from_layer,
            }[rule]
            found = back(blob, diff.numpy(), zero_higher=True)[net.inputs[0]]
            assert error(found, wanted) < 1e-4, blob


def touched(gradient: torch.Tensor) -> list[tuple[int, int]] | None:
    """Return the first and last row and column with a gradient, or None where there is none."""
    spans = []
    for axes in ((0, 1, 3), (0, 1, 2)):
        at = np.flatnonzero(gradient.abs().amax(axes).numpy())
        if not len(at):
            return None
        spans.append((int(at[0]), int(at[-1])))
    return spans


@pytest.mark.parametrize("name", ZOO)
def test_receptive_fields_hold_the_gradients_support_and_touch_it_where_exact(name):
    net = run(imported(name), example(1))
    eager = Recorded(make(name), example(16))  # where a ReLU or maximum shuts one image's way
    checked = set()
    for path, tensor in eager.outputs.items():
        if path not in net.blobs:
            continue
        shape = net.blobs[path].shape
        height, width = shape[2:] if len(shape) == 4 else (1, 1)
        for row, column in {(height // 2, width // 2), (0, 0), (height - 1, width - 1)}:
            diff = torch.zeros(tensor.shape)
            if len(shape) == 4:
                diff[:, :, row, column] = torch.rand(16, shape[1])
            else:
                diff[:] = torch.rand(tensor.shape)
            support = touched(eager.gradient(tensor, diff))
            found = caffe.regions.receptive_field(net, path, row, column)
            checked.add(found.status)
            assert found.why or found.status == "exact"
            if support is None:
                continue
            inside = found.clipped(SIZE, SIZE)
            for (first, last), seen in zip(support, (inside.rows, inside.columns), strict=True):
                assert seen[0] <= first and last <= seen[1], (path, row, column)
                inner = (row, column) == (height // 2, width // 2) and min(height, width) >= 7
                if found.status == "exact" and inner:  # near a border, padding counts too
                    assert (first, last) == seen, path
    assert "exact" in checked or not eager.outputs


class Branching(torch.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Wrapped(torch.nn.Module):
    """What a frozen part and half precision look like in forward."""

    def __init__(self):
        super().__init__()
        self.frozen = torch.nn.Conv2d(3, 4, 3)
        self.low = torch.nn.Conv2d(4, 2, 3)

    def forward(self, x):
        with torch.no_grad():
            x = self.frozen(x)
            x = torch.relu(x) + x.mean()
        with torch.autocast("cpu", torch.bfloat16):
            x = self.low(x)
        return x.float()


@pytest.mark.parametrize("way", ["module", "archive"])
def test_no_grad_and_autocast_in_forward_are_looked_through(tmp_path, way):
    module, x = Wrapped().eval(), example(2)
    if way == "archive":
        torch.export.save(torch.export.export(module, (x,)), tmp_path / "net.pt2")
        net = caffe.from_exported(tmp_path / "net.pt2")
    else:
        net = from_torch(module, (3, SIZE, SIZE))
    run(net, x)
    with torch.no_grad():
        seen = module.frozen(x)
        wanted = module.low(torch.relu(seen) + seen.mean())
    assert error(net.blobs["low"].data, wanted) < 1e-5
    assert {"frozen", "relu", "mean", "low"} <= set(net.blobs)


class Fourier(torch.nn.Module):
    def forward(self, x):
        return torch.fft.rfft2(x).abs()


class TwoImages(torch.nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Branching(), r"Branching can't be exported.*torch.export says .*data-dependent"),
        (Fourier(), r"Fourier computes with complex numbers \(fft_rfft2, by aten\.fft_rfft2"),
        (TwoImages(), r"TwoImages can't be exported.*missing a required argument: 'y'"),
    ],
)
def test_what_does_not_export_is_one_sentence_and_nothing_else(module, said, capfd):
    with pytest.raises(caffe.DefinitionError, match=said):
        from_torch(module, (3, 8, 8))
    assert capfd.readouterr() == ("", "")


def test_what_export_logs_stays_off_the_terminal_while_it_runs(caplog):
    class Talks(torch.nn.Module):
        def forward(self, x):
            logging.getLogger("talks").error("a traceback")
            print("and this")
            return x * 2

    from_torch(Talks(), (3, 8, 8))
    logging.getLogger("talks").error("afterwards")
    said = [record.message for record in caplog.records if record.name == "talks"]
    assert said == ["afterwards"]
