"""A PyTorch network in the window and in the batch tools, by the forms users write."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import live_vis
import torchcaffe as caffe
from caffevis import try_input
from caffevis.keys.state import Origin
from caffevis.model.layer_list import list_layers
from caffevis.model.opening import make_preprocess, open_net
from caffevis.net.network import Back, NetRequest, Network
from find_maxes import check, crop_max_patches, find_max_acts
from find_maxes.scan.maxes_file import read_maxes
from optimize.__main__ import main as optimize
from tests.torchcaffe.importing.zoo import SIZE, make
from toolbox.input.frame import Frame
from toolbox.pictures.image_file import read_image
from toolbox.pictures.stamp import foreign, stamp_of
from toolbox.settings.presets import with_model
from visualizations.speed_probe import learned_layers

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a .pt2 file, weights, code that makes the same network, and photos."""
    folder = tmp_path_factory.mktemp("imported")
    module = make("Residual", seed=4)
    exported = torch.export.export(module, (torch.zeros(1, 3, SIZE, SIZE),))
    torch.export.save(exported, folder / "net.pt2")
    torch.save(module.state_dict(), folder / "state.pth")
    (folder / "mynets.py").write_text(
        "from tests.torchcaffe.importing import zoo\ndef residual():\n    return zoo.Residual()\n",
        encoding="utf-8",
    )
    (folder / "photos").mkdir()
    random = np.random.default_rng(0)
    for i in range(6):
        noise = cv2.resize(random.integers(0, 255, (5, 6, 3)).astype(np.uint8), (60, 50))
        assert cv2.imwrite(str(folder / "photos" / f"{i}.png"), noise)
    (folder / "settings.py").write_text(
        f"caffevis_torch_model = 'mynets:residual@3,{SIZE},{SIZE}'\n"
        "caffevis_network_weights = 'state.pth'\ncaffevis_input_preset = 'imagenet'\n"
        "caffevis_unit_jpg_dir = 'unit_jpg_vis'\n",
        encoding="utf-8",
    )
    return folder


def shot(folder, *words):
    out = folder / "out.png"
    given = ["--headless", "--image", folder / "photos", "--keys", "o o down right n n"]
    assert live_vis.main([str(w) for w in (*given, "--screenshot", out, *words)]) == 0
    return read_image(out)


def test_the_window_shows_the_same_by_every_form(place):
    by_file = shot(place, "--model", place / "net.pt2")
    code = f"{place}/mynets.py:residual@3,{SIZE},{SIZE}"
    by_code = shot(place, "--model", code, "--weights", place / "state.pth")
    by_settings = shot(place, "--settings", place / "settings.py")
    assert np.array_equal(by_file[:, :1100], by_code[:, :1100])
    assert np.array_equal(by_file[:, :1100], by_settings[:, :1100])
    assert len(np.unique(by_file)) > 100


def test_the_input_is_divided_by_the_deviation(place):
    settings = live_vis.settings_file.load(place / "settings.py")
    net = caffe.open_net(
        settings.caffevis_deploy_prototxt,
        settings.caffevis_network_weights,
        settings.caffe_net_input_std,
    )
    image = read_image(place / "photos" / "0.png")[9:41, 9:41]
    net.blobs[net.inputs[0]].data[...] = (image - np.float32(MEAN)).transpose(2, 0, 1)
    net.forward()
    x = torch.from_numpy(((image - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1))[None]
    with torch.no_grad():
        wanted = make("Residual", seed=4)(x.float()).numpy()
    np.testing.assert_allclose(net.blobs["fc"].data, wanted, atol=1e-5)


@pytest.mark.parametrize("form", ["file", "code"])
def test_the_batch_tools_take_it(place, tmp_path, form, capsys):
    if form == "file":
        names = [str(place / "net.pt2"), "-"]
    else:
        names = [f"{place}/mynets.py:residual@3,{SIZE},{SIZE}", str(place / "state.pth")]
    own = ["--settings", str(place / "settings.py")]
    photos = [str(place / "photos"), "-"]
    maxes = str(tmp_path / "max.npz")
    find = [*own, "--workers", "0", "--layers", "layer2.0.relu_1", "fc", "--", *names, *photos]
    assert find_max_acts.main([*find, maxes]) == 0
    assert check.main([maxes, *names, *photos]) == 0
    found = read_maxes(Path(maxes))
    assert found.values["fc"].shape == (10, 9)
    assert found.recipe.deviation == STD and found.recipe.swap == (0, 1, 2)
    cropped = [maxes, *names, *photos, str(tmp_path / "patches"), "layer2.0.relu_1"]
    assert crop_max_patches.main(["--do-maxes", "--do-deconv", *cropped]) == 0
    assert list((tmp_path / "patches").rglob("*.png"))
    units = tmp_path / "units"
    assert crop_max_patches.main(["--unit-jpg-dir", str(units), *cropped]) == 0
    # The window names a .pt2 file as its own weights, and finds these pictures its own.
    window = stamp_of(names[0], names[0] if names[1] == "-" else names[1])
    assert foreign(units / "max_im" / "layer2.0.relu_1", units, window) == ""
    model = ["--deploy-proto", names[0], *(() if names[1] == "-" else ("--net-weights", names[1]))]
    wanted = ["--push-layer", "layer2.0.relu_1", "--push-channel", "3", "--max-iter", "4"]
    prefix = ["--output-prefix", str(tmp_path / "opt" / "o"), "--threads", "1", "--quiet"]
    assert optimize([*own, *model, *wanted, *prefix]) == 0
    assert list((tmp_path / "opt").glob("*.jpg"))
    assert "Traceback" not in capsys.readouterr().err


def test_try_input_lists_the_top_classes_under_each_preset(place, capsys):
    photos = [str(path) for path in sorted((place / "photos").glob("*.png"))[:2]]
    labels = place / "labels.txt"
    labels.write_text("".join(f"kind {i}\n" for i in range(10)), encoding="utf-8")
    own = ["--settings", str(place / "settings.py"), "--labels", str(labels)]
    assert try_input.main([*photos, *own]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "0.png"
    assert said.splitlines()[1].split() == list(try_input.PRESETS)
    image = cv2.resize(read_image(photos[0])[:, 5:55], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    x = torch.from_numpy(((image - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1))[None]
    with torch.no_grad():
        best = make("Residual", seed=4)(x.float())[0].softmax(0)
    assert said.splitlines()[2].split()[:3] == [
        f"{best.max():.0%}",
        "kind",
        str(int(best.argmax())),
    ]
    assert try_input.main([*photos, "--model", str(place / "no.pt2")]) == 2
    assert "could not open file" in capsys.readouterr().err


def test_tokens_are_shown_as_maps_and_activations_without_a_rule_are_named_once(tmp_path):
    module = make("ViT")
    exported = torch.export.export(module, (torch.zeros(1, 3, SIZE, SIZE),))
    torch.export.save(exported, tmp_path / "vit.pt2")
    settings = with_model(live_vis.settings_file.load(None), str(tmp_path / "vit.pt2"), None, None)
    net = open_net(settings)
    names = {layer.name: layer.units for layer in list_layers(net, 1.0, str)}
    assert (names["norm1"], names["mlp.0"], names["head"]) == (16, 32, 6)
    network = Network(net, make_preprocess(net, settings), None, 1)
    photo = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    frame = Frame(0, photo, "photo")
    back = Back("guided", Origin("mlp.1", 7))
    first = network(NetRequest(frame, "mlp.1", back))
    assert first.activations.shape == first.layer_diffs.shape == (32, 4, 4)
    assert first.note == "4x4 tokens, 1 more not shown, gelu by derivative"
    assert np.abs(first.back_image).max() > 0
    np.testing.assert_array_equal(first.layer_diffs[7], first.activations[7])
    assert not first.layer_diffs[:7].any()
    again = network(NetRequest(frame, "mlp.1", Back("deconv", Origin("mlp.1", 3))))
    assert again.note == "4x4 tokens, 1 more not shown"


def test_the_batch_tools_say_which_layers_they_take(tmp_path, place, capsys):
    exported = torch.export.export(make("ConvNeXt"), (torch.zeros(1, 3, SIZE, SIZE),))
    torch.export.save(exported, tmp_path / "next.pt2")
    own = ["--settings", str(place / "settings.py")]
    names, photos = [str(tmp_path / "next.pt2"), "-"], [str(place / "photos"), "-"]
    maxes = str(tmp_path / "max.npz")
    assert find_max_acts.main([*own, "--workers", "0", *names, *photos, maxes]) == 0
    kept = read_maxes(Path(maxes)).values
    assert kept["stage.1.depth"].shape == (12, 9) and "stage.1.up" not in kept
    words = ["--layers", "stage.1.up", "--", *names, *photos, maxes]
    assert find_max_acts.main([*own, "--workers", "0", *words]) == 2
    model = [*own, "--deploy-proto", names[0], "--quiet", "--output-prefix", str(tmp_path / "o")]
    assert optimize([*model, "--push-layer", "stage.1.up", "--push-channel", "3"]) == 2
    said = capsys.readouterr().err
    assert said.count("'stage.1.up' keeps tokens, or has its channels last") == 2
    net = caffe.from_exported(names[0])
    assert learned_layers(net) == ["stem.0", "stage.0.depth", "stage.1.depth", "head"]
