"""A net of pycaffe's goes backward as the bundled engine does, whatever its Caffe can."""

import threading

import numpy as np
import pytest

import torchcaffe
from caffevis.model.pycaffe import PycaffeError, PycaffeNet, with_backward
from caffevis.model.pycaffe_module import load
from tests.pycaffe.tree import write_caffe

MODES = ("backward", "deconv", "guided")
# fc first: what it leaves in the other branch must not be in the next one's diffs.
ORIGINS = ("fc", "left", "right", "left_leaky", "norm2", "score", "conv1", "join", "prob")


def pair(files, root, name="plain", handed_on=frozenset()):
    """Return the net on pycaffe and in the bundled engine, both with one forward pass."""
    prototxt, weights = str(files / f"{name}.prototxt"), str(files / "weights.caffemodel")
    ours = PycaffeNet(load(str(root)), prototxt, weights, handed_on=handed_on)
    other = torchcaffe.Net(prototxt, weights, torchcaffe.TEST)
    data = np.random.RandomState(0).normal(0, 60, other.blobs["data"].shape)
    for net in (ours, other):
        net.blobs["data"].data[...] = data
        net.forward()
    return ours, other


def go_back(net, mode, origin):
    diff = np.random.RandomState(3).normal(0, 1, net.blobs[origin].shape)
    getattr(net, f"{mode}_from_layer")(origin, diff, zero_higher=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["BVLC", "deconv"])
def test_every_diff_is_the_bundled_engines(files, tmp_path, kind, mode):
    ours, other = pair(files, write_caffe(tmp_path / kind, kind))
    assert list(ours.blobs) == list(other.blobs)
    for origin in ORIGINS:
        go_back(ours, mode, origin)
        go_back(other, mode, origin)
        assert np.abs(other.blobs["data"].diff).max() > 0
        for name, blob in other.blobs.items():
            np.testing.assert_array_equal(
                ours.blobs[name].diff, blob.diff, f"{mode} from {origin}: {name}"
            )


@pytest.mark.parametrize("mode", ["deconv", "guided"])
def test_the_rules_differ_here(files, bvlc, mode):
    ours, _ = pair(files, bvlc)
    go_back(ours, mode, "fc")
    diff = ours.blobs["data"].diff.copy()
    go_back(ours, "backward", "fc")
    assert np.abs(diff - ours.blobs["data"].diff).max() > 0.01 * np.abs(diff).max()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["BVLC", "deconv"])
def test_an_lrn_left_out_by_deconv_is_left_out(files, tmp_path, kind, mode):
    root = write_caffe(tmp_path / kind, kind)
    ours, other = pair(files, root, "ignores", frozenset({"norm0", "norm2"}))
    go_back(ours, mode, "norm2")
    go_back(other, mode, "norm2")
    np.testing.assert_array_equal(ours.blobs["data"].diff, other.blobs["data"].diff)


def test_only_layers_below_the_origin_are_run(files, bvlc, monkeypatch):
    ours, _ = pair(files, bvlc)
    ran, backward = [], load(str(bvlc)).Net._backward

    def note(net, start, end):
        ran.append(list(net._layer_names)[start])
        backward(net, start, end)

    monkeypatch.setattr(load(str(bvlc)).Net, "_backward", note)
    go_back(ours, "backward", "right")
    assert ran == ["right", "pool1_pool1_0_split", "pool1", "norm1", "relu1", "conv1", "norm0"]


def test_a_layer_without_a_blob_of_its_name_goes_backward_too(files, tmp_path, deconv):
    text = (files / "plain.prototxt").read_text(encoding="utf-8")
    for end in ("top", "bottom"):
        text = text.replace(f'{end}: "left"', f'{end}: "left_out"')
    (tmp_path / "plain.prototxt").write_text(text, encoding="utf-8")
    (tmp_path / "weights.caffemodel").write_bytes((files / "weights.caffemodel").read_bytes())
    ours, other = pair(tmp_path, deconv)
    diff = np.ones_like(other.blobs["left_out"].data)
    for net in (ours, other):
        net.deconv_from_layer("left", diff, zero_higher=True)
    assert np.abs(other.blobs["data"].diff).max() > 0
    np.testing.assert_array_equal(ours.blobs["data"].diff, other.blobs["data"].diff)


def test_the_users_definition_is_left_as_it_is(files, bvlc):
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    pair(files, bvlc)
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


FORCED = {
    'name: "x"\n': 'force_backward: true\nname: "x"\n',
    "force_backward: true\n": "force_backward: true\n",
    "force_backward : false # no\n": "force_backward: true # no\n",
    "# force_backward: true\n": "force_backward: true\n# force_backward: true\n",
    "name: 'force_backward: false'": "force_backward: true\nname: 'force_backward: false'",
}


@pytest.mark.parametrize("text", FORCED)
def test_force_backward_is_set_once(text: str):
    assert with_backward(text, False) == FORCED[text]
    assert with_backward(FORCED[text], False) == FORCED[text]


def test_a_field_of_the_deconv_branch_is_kept_from_stock_caffe():
    text = "force_backward: true lrn_param { alpha: 1 deconv_ignore: true } # deconv_ignore: true"
    assert with_backward(text, True) == text
    assert with_backward(text, False).count("deconv_ignore") == 1


def test_shapes_are_tuples_and_batches_can_change(files, bvlc):
    ours, _ = pair(files, bvlc)
    assert ours.blobs["conv1"].shape == (1, 10, 10, 10)
    ours.blobs["data"].reshape(2, 3, 24, 24)
    ours.reshape()
    assert ours.blobs["prob"].shape == (2, 5)


def test_the_mode_is_chosen_in_every_thread(files, bvlc):
    module = load(str(bvlc))
    net = PycaffeNet(
        module, str(files / "plain.prototxt"), str(files / "weights.caffemodel"), gpu=3
    )
    thread = threading.Thread(target=lambda: (net.forward(), go_back(net, "deconv", "fc")))
    thread.start()
    thread.join()
    modes = module._caffe.MODES
    assert {mode for _, mode in modes} == {"gpu 3"}
    assert all(where != threading.get_ident() for where, _ in modes)


def test_what_pycaffe_raises_is_one_sentence(files, bvlc, monkeypatch):
    module = load(str(bvlc))
    with pytest.raises(PycaffeError, match="cannot load the network: .*Could not open file"):
        PycaffeNet(module, str(files / "plain.prototxt"), str(files / "none"))
    with pytest.raises(PycaffeError, match=r"none\.prototxt cannot be read: no such file"):
        PycaffeNet(module, str(files / "none.prototxt"), str(files / "weights.caffemodel"))

    def broken(self, *args):
        raise ValueError("a Python layer's\nown mistake")

    net, _ = pair(files, bvlc)
    monkeypatch.setattr(module.Net, "forward", broken)
    monkeypatch.setattr(module.Net, "_backward", broken)
    with pytest.raises(PycaffeError, match="cannot go forward: ValueError: a Python layer's.$"):
        net.forward()
    with pytest.raises(PycaffeError, match="cannot go backward"):
        go_back(net, "backward", "fc")


def test_twins_go_forward_but_not_backward(files, tmp_path, bvlc, monkeypatch):
    net, _ = pair(files, bvlc)
    monkeypatch.setattr(net, "_layer_names", ["data", "fc", "fc"])
    net.forward()
    with pytest.raises(PycaffeError, match="have one name"):
        go_back(net, "backward", "fc")
