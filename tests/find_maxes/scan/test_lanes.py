"""Groups side by side: how many lanes, in which order, and that they change no byte."""

import gc
import os
import signal
import threading
import time
import weakref

import numpy as np
import pytest
import torch

import torchcaffe as caffe
from find_maxes import find, find_max_acts
from find_maxes.photos import decoders
from find_maxes.photos.net_input import Recipe
from find_maxes.scan import lanes
from find_maxes.scan.lanes import Lanes, count_lanes
from find_maxes.scan.network import NetFiles, Runner
from torchcaffe.layers.base import LAYERS

STATISTICS = ["--histograms", "--correlation"]


@pytest.fixture
def threads():
    """Set PyTorch's number of threads; set it back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def runner(tiny):
    return Runner(NetFiles(str(tiny.prototxt), str(tiny.weights)))


@pytest.mark.parametrize(
    ("available", "count"),
    [(1, 1), (2, 2), (3, 3), (7, 7), (8, 8), (9, 8), (11, 5), (13, 6), (12, 6), (16, 8), (64, 8)],
)
def test_lanes_use_the_threads(runner, available, count):
    """As many lanes as leave the fewest threads without work, 8 at most."""
    assert count_lanes(runner.net, available) == count


def test_lanes_keep_within_memory(runner, monkeypatch):
    group = 4 * sum(blob.count for blob in runner.net.blobs.values())
    monkeypatch.setattr(lanes, "MAX_BYTES", 3 * group)
    assert count_lanes(runner.net, 8) == 2  # of the three there is room for, 2 x 4 use all 8
    monkeypatch.setattr(lanes, "MAX_BYTES", group // 2)
    assert count_lanes(runner.net, 8) == 1


def test_groups_of_some_nets_come_in_order(tmp_path):
    text = """
    input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
    layer { name: "noise" type: "DummyData" top: "noise"
      dummy_data_param { shape { dim: 1 dim: 3 } data_filler { type: "gaussian" std: 1 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
      convolution_param { num_output: 2 kernel_size: 3 } }
    """
    (tmp_path / "net.prototxt").write_text(text, encoding="utf-8")
    assert count_lanes(caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST), 8) == 1


def test_groups_of_layers_from_elsewhere_come_in_order(tmp_path, monkeypatch):
    """Nobody has said that a user's class may be at work in two threads."""
    monkeypatch.setitem(LAYERS, "Twice", Twice)
    text = """
    input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
    layer { name: "twice" type: "Twice" bottom: "data" top: "twice" }
    """
    (tmp_path / "net.prototxt").write_text(text, encoding="utf-8")
    assert count_lanes(caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST), 8) == 1


class Twice(caffe.BaseLayer):
    def compute(self, bottoms, params):
        return [2 * bottoms[0]]


def test_copies_share_parameters_and_no_blob(runner):
    first, second, third = runner.copies(3)
    assert first is runner and runner.copies(2) == [first, second]
    for name, blobs in first.net.params.items():
        for own, theirs in zip(blobs, third.net.params[name], strict=True):
            assert own.memory is theirs.memory
    assert not any(first.net.blobs[name].memory is third.net.blobs[name].memory
                   for name in first.net.blobs)  # fmt: skip


def test_copies_need_no_file_and_go_with_their_runner(own_tiny):
    """The prototxt may have been a pipe; a cluster's worker opens one net after another."""
    runner = Runner(NetFiles(str(own_tiny.prototxt), str(own_tiny.weights)))
    own_tiny.prototxt.unlink()
    own_tiny.weights.unlink()
    alive = [weakref.ref(copy.net) for copy in runner.copies(3)]
    gc.disable()
    try:
        del runner
        assert [net() for net in alive] == [None] * 3
    finally:
        gc.enable()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_order(runner, threads, count):
    """Also where the first group takes longest; and the numbers of threads come back."""
    threads(count)
    inside = []

    def work(own, number):
        inside.append(torch.get_num_threads())
        time.sleep(0.05 if number == 0 else 0)
        return number, own

    with Lanes(runner, count) as found:
        results = list(found.map(work, range(7)))
    assert [number for number, _ in results] == list(range(7))
    copies = runner.copies(count)
    assert [copies.index(own) for _, own in results] == [i % count for i in range(7)]
    assert inside == [1] * 7
    assert torch.get_num_threads() == count
    assert not any(t.name.startswith("lane") for t in threading.enumerate())


def test_what_fails_in_a_lane_fails_here(runner, threads):
    """And the groups beside it are done before their memory goes."""
    threads(2)
    begun, done = [], []

    def work(own, number):
        begun.append(number)
        time.sleep(0 if number == 2 else 0.05)
        if number == 2:
            raise caffe.CaffeError("group 2")
        done.append(number)

    with pytest.raises(caffe.CaffeError, match="group 2"), Lanes(runner, 2) as found:
        list(found.map(work, range(9)))
    assert 2 in begun and set(begun) <= {0, 1, 2, 3}
    assert set(begun) == {2, *done}
    assert torch.get_num_threads() == 2


def test_a_group_is_done_before_its_memory_goes_even_for_the_impatient(runner, threads):
    """Ctrl-C, twice, while a lane still works: the context is left when the group is done."""
    threads(2)
    done = []

    def work(own, number):
        time.sleep(0.6 * number)
        done.append(number)

    def press():
        for _ in range(2):
            time.sleep(0.15)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), Lanes(runner, 2) as found:
        next(found.map(work, range(5)))
        assert done == [0]
        impatient = threading.Thread(target=press)
        impatient.start()
    impatient.join()
    assert done == [0, 1]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_groups_that_are_held_stay(tiny, workers):
    """With three held, a group is as it was when the second after it is there."""
    recipe = Recipe(3, 40, 32)
    paths = [[str(tiny.photos / name)] for name in tiny.names[:12]]
    expected = [recipe.to_input(recipe.picture(path)) for (path,) in paths]
    seen = []
    with decoders.Decoder(recipe, 1, workers, ahead=1, held=3) as decoder:
        for group in decoder.groups(paths):
            seen.append(group.inputs)
            time.sleep(0.03)  # the workers go on meanwhile
            for inputs, wanted in list(zip(seen, expected, strict=False))[-3:]:
                np.testing.assert_array_equal(inputs[0], wanted)
        del seen, group, inputs
    assert len(expected) == 12


@pytest.mark.parametrize("options", [["--workers", "0"], ["--workers", "2", "--batch-size", "7"]])
@pytest.mark.parametrize("count", [2, 3])
def test_lanes_change_no_byte(tiny, tmp_path, threads, count, options):
    one, many = tmp_path / "one.npz", tmp_path / "many.npz"
    threads(1)
    assert find_max_acts.main(tiny.arguments(one, "--workers", "0", *STATISTICS)) == 0
    threads(count)
    assert find_max_acts.main(tiny.arguments(many, *options, *STATISTICS)) == 0
    assert one.read_bytes() == many.read_bytes()


def test_stopped_with_lanes_and_gone_on_with_without(tiny, tmp_path, threads, monkeypatch):
    """Stopped between two groups while others are in the lanes: nothing of these is lost."""
    tiny_list = tmp_path / "list.txt"
    tiny_list.write_text("".join(f"{name}\t0\n" for name in tiny.names * 5), encoding="utf-8")

    def main(out, *options):
        paths = [tiny.prototxt, tiny.weights, tiny.photos, tiny_list, out]
        return find_max_acts.main([*map(str, paths), "--workers", "0", *STATISTICS, *options])

    threads(1)
    assert main(tmp_path / "whole.npz") == 0
    show = find.Progress.show

    def stop_soon(self, count, bad):
        show(self, count, bad)
        if count == 48:
            stops[-1].asked = True

    stops, make = [], find.Stop

    def noted():
        stops.append(make())
        return stops[-1]

    threads(3)
    with monkeypatch.context() as patch:
        patch.setattr(find, "Stop", noted)
        patch.setattr(find.Progress, "show", stop_soon)
        assert main(tmp_path / "broken.npz") == 130
    assert torch.get_num_threads() == 3
    threads(1)
    assert main(tmp_path / "broken.npz", "--resume") == 0
    assert (tmp_path / "broken.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
