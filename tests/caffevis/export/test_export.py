"""Exports against the passes that they come from, resuming, and what users get wrong."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.export import __main__ as command
from caffevis.export import work
from caffevis.export.kinds import KINDS
from caffevis.export.written import HEAD, NAME

ROOT = Path(__file__).resolve().parents[3]
PROTOTXT = """
name: "small"
force_backward: true
input: "data" input_shape { dim: 1 dim: 3 dim: 20 dim: 20 }
layer { name: "a/conv" type: "Convolution" bottom: "data" top: "a/conv"
        convolution_param { num_output: 5 kernel_size: 3 stride: 2
                            weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "a/conv" top: "a/conv" }
layer { name: "pool" type: "Pooling" bottom: "a/conv" top: "pool"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
"""
ALL = list(KINDS)


@pytest.fixture
def place(tmp_path):
    """A network, its settings and four photos, one of them in a folder."""
    (tmp_path / "net.prototxt").write_text(PROTOTXT, encoding="ascii")
    caffe.set_mode_cpu()
    caffe.set_random_seed(2)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.params["a/conv"][1].data[...] = 1
    net.save(str(tmp_path / "net.caffemodel"))
    lines = [
        f"caffevis_deploy_prototxt = {str(tmp_path / 'net.prototxt')!r}",
        f"caffevis_network_weights = {str(tmp_path / 'net.caffemodel')!r}",
        "caffevis_data_mean = (10, 20, 30)", "caffe_net_channel_swap = (2, 1, 0)",
        "caffevis_compute_threads = 1",
    ]  # fmt: skip
    (tmp_path / "my.py").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "photos/more").mkdir(parents=True)
    random = np.random.default_rng(1)
    for name in ("b.png", "a photo.jpg", "c.png", "more/d.png"):
        image = random.integers(0, 255, (30, 50, 3), dtype=np.uint8)
        assert cv2.imwrite(str(tmp_path / "photos" / name), image)
    return tmp_path


def run(place, *more, units="a/conv:3,fc:1", what=ALL):
    words = ["--settings", place / "my.py", "--photos", place / "photos", "--units", units]
    words += ["--what", *what, "--out", place / "out", *more]
    return command.main([str(word) for word in words])


def table(place):
    text = (place / "out" / NAME).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def test_values_are_those_of_the_passes(place, capsys):
    assert run(place) == 0
    assert "4 photos, 2 units, 5 kinds: 40 exports made, 0 bad file(s)" in capsys.readouterr().out
    rows = {(r["photo"], r["layer"], r["what"]): r for r in table(place)}
    assert len(rows) == 40 and list(table(place)[0]) == list(HEAD)
    net = caffe.Net(str(place / "net.prototxt"), str(place / "net.caffemodel"), caffe.TEST)
    image = cv2.imread(str(place / "photos/b.png"))[:, 10:40]
    small = cv2.resize(image, (20, 20), interpolation=cv2.INTER_AREA)
    net.blobs["data"].data[0] = small.transpose(2, 0, 1) - np.float32([10, 20, 30])[:, None, None]
    net.forward()

    def values(layer, what):
        return np.load(place / "out" / rows["b.png", layer, what]["npy"], allow_pickle=False)

    np.testing.assert_allclose(
        values("a/conv", "activation"), net.blobs["a/conv"].data[0, 3], rtol=1e-4
    )
    assert values("fc", "activation") == pytest.approx(net.blobs["fc"].data[0, 1], rel=1e-4)
    assert float(rows["b.png", "fc", "cam"]["value"]) == pytest.approx(
        net.blobs["fc"].data[0, 1], rel=1e-4
    )
    passes = {"grad": net.backward_from_layer, "deconv": net.deconv_from_layer,
              "guided": net.guided_from_layer}  # fmt: skip
    for what, go_back in passes.items():
        diff = np.zeros_like(net.blobs["a/conv"].data)
        diff[0, 3] = net.blobs["a/conv"].data[0, 3]
        found = go_back("a/conv", diff, zero_higher=True)["data"][0, ::-1].transpose(1, 2, 0)
        np.testing.assert_allclose(values("a/conv", what), found, rtol=1e-3, atol=1e-3)
    maps = net.blobs["a/conv"].data[0]
    diff = np.zeros((1, 4), np.float32)
    diff[0, 1] = 1
    weights = net.gradient_at("fc", diff, "a/conv")[0].mean((1, 2))
    expected = np.maximum((weights[:, None, None] * maps).sum(0), 0)
    assert rows["b.png", "fc", "cam"]["cam_layer"] == "a/conv"  # not pool
    np.testing.assert_allclose(values("fc", "cam"), expected, rtol=1e-3, atol=1e-5)


def test_pictures_lie_over_the_photo_and_what_is_missing_is_said(place):
    assert run(place) == 0
    for row in table(place):
        if row["png"]:
            picture = cv2.imread(str(place / "out" / row["png"]))
            wanted = (30, 30) if row["what"] in ("activation", "cam") else (20, 20)
            assert picture.shape[:2] == wanted and picture.std() > 0
        else:
            assert row["note"]
    notes = {(r["layer"], r["what"]): r["note"] for r in table(place) if not r["png"]}
    assert notes["fc", "activation"] == "the unit has one value and no map"
    assert "blob 'a/conv' is not below layer 'a/conv'" in notes["a/conv", "cam"]


def test_the_same_command_goes_on_where_it_stopped(place, monkeypatch, capsys):
    monkeypatch.setattr(work, "EVERY", 1)
    done = []

    def stop_after_two(*arguments):
        done.append(arguments)
        if len(done) > 13:
            raise KeyboardInterrupt
        return one(*arguments)

    one = work._one
    with monkeypatch.context() as patch:
        patch.setattr(work, "_one", stop_after_two)
        assert run(place) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert len(table(place)) == 10  # a whole photo
    removed = place / "out" / table(place)[0]["npy"]
    removed.unlink()
    assert run(place) == 0
    assert "31 exports made, 9 were there" in capsys.readouterr().out
    assert removed.exists() and len(table(place)) == 40
    before = (place / "out" / NAME).read_bytes()
    assert run(place) == 0 and "0 exports made, 40 were there" in capsys.readouterr().out
    assert (place / "out" / NAME).read_bytes() == before
    assert run(place, units="fc:2", what=["grad"]) == 0
    assert len(table(place)) == 44


def test_a_bad_photo_is_named_and_the_others_are_made(place, capsys):
    (place / "photos/broken.jpg").write_bytes(b"no picture")
    (place / "photos/labels.txt").write_text("broken.jpg 0")
    assert run(place, what=["grad"]) == 1
    printed = capsys.readouterr()
    assert "bad file broken.jpg" in printed.err and "8 exports made" in printed.out


WRONG = {
    ("--units", "conv5-60"): "'conv5-60' is not written like conv5:60",
    ("--units", "a/conv:5"): "a/conv has the units 0 to 4",
    ("--units", "a/conf:1"): "did you mean 'a/conv'?",
    ("--units", ","): "--units names no unit",
    ("--cam-layer", "nowhere"): "--cam-layer nowhere: the network has no layer 'nowhere'",
    ("--photos", "/nowhere"): "--photos /nowhere is not a folder; name the one with the photos",
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.items())
def test_what_is_wrong_is_one_sentence(place, capsys, words, sentence):
    assert run(place, *words) == 2
    printed = capsys.readouterr().err
    assert sentence in printed and "Traceback" not in printed
    assert not (place / "out" / NAME).exists()


def test_folders_of_others_are_left_alone(place, capsys):
    assert run(place, what=["grad"]) == 0
    net = caffe.Net(str(place / "net.prototxt"), caffe.TEST)
    net.save(str(place / "net.caffemodel"))
    assert run(place, what=["grad"]) == 2
    assert "--out names another folder" in capsys.readouterr().err
    shutil.rmtree(place / "out")
    (place / "out").mkdir()
    (place / "out" / NAME).write_text("mine\n", encoding="utf-8")
    assert run(place, what=["grad"]) == 2
    assert "is no table of this program" in capsys.readouterr().err
    assert (place / "out" / NAME).read_text(encoding="utf-8") == "mine\n"


def test_why_a_picture_is_all_zero_is_said(place):
    from types import SimpleNamespace

    from caffevis.keys.state import Origin

    for value, sentence in ((0, "the unit is silent in this photo"), (2, "nothing gets down")):
        result = SimpleNamespace(
            back_image=np.zeros((4, 4, 3), np.float32),
            activations=np.full((3, 2, 2), value, np.float32),
        )
        assert sentence in KINDS["deconv"].draw(result, Origin("x", 1)).note


def test_the_help_names_all_kinds(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in KINDS)
    with pytest.raises(SystemExit) as end:
        command.main(["--photos", "x", "--units", "y", "--what", "smell"])
    assert end.value.code == 2 and "invalid choice: 'smell'" in capsys.readouterr().err
