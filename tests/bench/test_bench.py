"""The benchmarks' parts, and that their contenders compute the same."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import __main__ as command
from bench.lab import plain_pytorch
from bench.lab.nets import CALTECH, MEAN, Model, opencv_net, photo, torch_weights
from bench.lab.timing import MIN_ROUNDS, WARM_UP, interleaved
from bench.registry import BENCHMARKS, Table, benchmark
from bench.rows import busy, causes
from bench.rows.optimize import RECIPE, original_loop
from optimize import GradientOptimizer


@pytest.fixture(scope="module")
def model() -> Model:
    """The bundled net with random weights, whether its own are there or not."""
    return Model("random", CALTECH.prototxt, Path("absent.caffemodel"))


@pytest.fixture(scope="module")
def net(model: Model):
    return model.load()


def test_contenders_agree_on_the_probabilities(model, net):
    x = photo()
    net.blobs["data"].data[...] = x
    ours = np.array(net.forward()["prob"]).ravel()
    assert 0.01 < ours.max() < 0.9  # not saturated: the comparison tells something
    weights = torch_weights(net)
    with torch.no_grad():
        pytorch = plain_pytorch.forward(weights, torch.from_numpy(x))[0].numpy().ravel()
    other = opencv_net(model, net)
    other.setInput(x)
    np.testing.assert_allclose(ours, pytorch, atol=1e-5)
    np.testing.assert_allclose(ours, other.forward().ravel(), atol=1e-5)


def test_contenders_agree_on_the_deconvnet(net):
    x = photo()
    net.blobs["data"].data[...] = x
    net.forward()
    diff = np.zeros(net.blobs["conv5"].data.shape, np.float32)
    diff[0, 7] = net.blobs["conv5"].data[0, 7]
    assert diff.max() > 0
    net.deconv_from_layer("conv5", diff, zero_higher=True)
    ours = np.array(net.blobs["data"].diff)
    theirs = plain_pytorch.deconv(torch_weights(net), torch.from_numpy(x), torch.from_numpy(diff))[
        1
    ]
    scale = float(theirs.abs().max())
    assert scale > 0
    np.testing.assert_allclose(ours / scale, theirs.numpy() / scale, atol=1e-5)
    gradient = x_gradient(net, x, diff)
    assert np.abs(gradient - theirs.numpy()).max() > 0.01 * scale  # deconv is not backprop


def x_gradient(net, x: np.ndarray, diff: np.ndarray) -> np.ndarray:
    tensor = torch.from_numpy(x).requires_grad_()
    conv5 = plain_pytorch.forward(torch_weights(net), tensor)[1]
    return torch.autograd.grad(conv5, tensor, torch.from_numpy(diff))[0].numpy()


def test_contenders_agree_on_the_ascent(net):
    loop = original_loop(net, "fc8", 7)
    p = RECIPE.replaced(push_layer="fc8", push_channel=7)
    ours = GradientOptimizer(net, MEAN).run_optimize(p)
    distance = np.linalg.norm(ours.best_xx - loop)
    assert distance < 0.05 * np.linalg.norm(loop - original_loop(net, "fc8", 8))


def test_contenders_take_turns():
    order: list[str] = []
    count = itertools.count()
    runs = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    medians = interleaved(runs, 0.0, before=lambda: next(count))
    assert order == ["a"] * WARM_UP + ["b"] * WARM_UP + ["a", "b"] * MIN_ROUNDS
    assert next(count) == len(order)
    assert list(medians) == ["a", "b"]
    assert all(seconds >= 0 for seconds in medians.values())


def test_a_table_states_ratios_and_a_missed_goal():
    text = Table("t", {"fast": 0.002, "slow": 0.004}, "slow", limit_ms=3.0, notes=["a note"]).text()
    lines = [line.split() for line in text.splitlines()]
    assert lines[2] == ["fast", "2.00", "500.0", "2.00"]
    assert lines[3] == ["slow", "4.00", "250.0", "1.00"]
    assert "missed by slow" in text
    assert text.endswith("a note")
    assert "met" in Table("t", {"fast": 0.002}, limit_ms=3.0).text()


def test_names_are_registered_once():
    assert {"forward", "drawing"} <= set(BENCHMARKS)
    with pytest.raises(ValueError, match="two benchmarks"):
        benchmark("forward", "again")(lambda budget: [])


def test_an_unknown_name_is_refused_with_the_known_ones(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench", "--only", "forwards"])
    with pytest.raises(SystemExit) as stop:
        command.main()
    assert stop.value.code == 2
    assert "forward" in capsys.readouterr().err


def test_busy_processes_are_there_meanwhile_and_gone_afterwards(monkeypatch):
    started = []
    popen = busy.subprocess.Popen

    def note(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(busy.subprocess, "Popen", note)
    with busy.beside(2):
        assert [process.poll() for process in started] == [None, None]
    assert all(process.returncode is not None for process in started)


def test_each_way_to_wait_has_its_own_environment(monkeypatch):
    seen = []

    def child(policy, seconds):
        seen.append(policy)
        return [0.001] * 10

    monkeypatch.setattr(busy, "_child", child)
    monkeypatch.setattr(busy, "beside", lambda count: contextlib.nullcontext())
    tables = busy.run(1.0)
    assert len(tables) == 3
    assert seen[:2] == list(busy.POLICIES.values())
    assert "90th percentile" in tables[0].text()


def test_causes_contenders_do_what_their_names_say():
    found = {name: run() for name, run in causes.contenders().items()}
    assert list(found) == [causes.BARE, *causes.ASKED]
    for name, result in found.items():
        asked = causes.ASKED.get(name, {})
        assert (result.effect is not None) == ("trial" in asked), name
        assert (result.answer is not None) == ("question" in asked), name
    assert found["a unit of conv2 off"].effect.held and found["noise"].effect.frame
    bare, plain = found[causes.BARE], found[causes.PLAIN]
    np.testing.assert_array_equal(bare.activations, plain.activations)
