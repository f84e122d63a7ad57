"""The command against the slow way, and what must not change its result."""

import errno
import json
import multiprocessing
import os

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from find_maxes import find_max_acts
from find_maxes.errors import FindMaxesError
from find_maxes.options import parse_size
from find_maxes.photos import decoders
from find_maxes.photos.net_input import Recipe
from tests.find_maxes.conftest import TINY, brute_force, build_model, run

# As pycaffe's Classifier, which is the default for nets near 227 pixels only.
PYCAFFE = ("--resize", "stretch", "--crop", "256")
TINY_LAYERS = ["conv1", "pool1", "part/conv2", "fc", "prob"]


def load(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def find(model, out, *options):
    """Run the command in this process, decoding here: quick."""
    return find_max_acts.main(model.arguments(out, "--workers", "0", *options))


def agrees(result, layer, values, map_shape, top):
    """Hold a result to all values (images, units, positions) of the slow way."""
    best = values.max(2).T  # units, images
    tolerance = 1e-4 * np.abs(best).max()
    vals, locs = result[f"{layer}/max_vals"], result[f"{layer}/max_locs"]
    assert vals.dtype == np.float32 and locs.dtype == np.int64
    assert vals.shape == (len(best), top) and locs.shape == (len(best), top, 4)
    for unit in range(len(best)):
        images = locs[unit, :, 0]
        assert len(set(images)) == top
        np.testing.assert_allclose(vals[unit], best[unit, images], rtol=1e-4, atol=tolerance)
        left_out = np.delete(best[unit], images)
        assert left_out.max() <= vals[unit, -1] + tolerance
        for value, (image, _, row, column) in zip(vals[unit], locs[unit], strict=True):
            place = row * map_shape[1] + column if map_shape else 0
            np.testing.assert_allclose(value, values[image, unit, place], rtol=1e-4, atol=tolerance)
            if not map_shape:
                assert (row, column) == (-1, -1)


def test_agrees_with_brute_force(tiny, tmp_path):
    out = tmp_path / "max.npz"
    done = tiny.find(out, "--N", 4, "--mean", "(104,117,123)", "--workers", 2, *PYCAFFE)
    assert done.returncode == 0, done.stderr
    result = load(out)
    slow = brute_force(tiny, TINY_LAYERS, tiny.names)
    maps = {"conv1": (13, 10), "pool1": (6, 5), "part/conv2": (6, 5), "fc": (), "prob": ()}
    for layer in TINY_LAYERS:
        agrees(result, layer, slow[layer], maps[layer], 4)
    assert result["filenames"].tolist() == tiny.names
    assert result["classes"].tolist() == [i % 5 for i in range(40)]
    np.testing.assert_array_equal(
        result["conv1/max_locs"][..., 1], result["classes"][result["conv1/max_locs"][..., 0]]
    )
    settings = json.loads(str(result["settings"]))
    assert settings["N"] == 4
    assert settings["layers"] == TINY_LAYERS
    assert "40 images" in done.stdout and "images/s" in done.stderr


def test_equal_values_keep_the_earlier_image(tiny, tmp_path):
    """Every seventh photo is the same, so each unit's entries come in the list's order."""
    assert find(tiny, tmp_path / "max.npz") == 0
    result = load(tmp_path / "max.npz")
    ties = 0
    for layer in TINY_LAYERS:
        vals, images = result[f"{layer}/max_vals"], result[f"{layer}/max_locs"][..., 0]
        equal = vals[:, 1:] == vals[:, :-1]
        assert (images[:, 1:][equal] > images[:, :-1][equal]).all()
        ties += equal.sum()
        for row in images:
            copies = [int(i) for i in row if i % 7 == 0]
            assert copies == list(range(0, 7 * len(copies), 7))
    assert ties >= 10


@pytest.mark.parametrize("name", ["googlenet", "residual"])
def test_other_graphs(name, request, tmp_path):
    model = request.getfixturevalue(name)
    model.write_list(model.names[:12])
    out = tmp_path / "max.npz"
    assert find(model, out, "--N", "3", "--mean", "(104,117,123)", *PYCAFFE) == 0
    result = load(out)
    layers = json.loads(str(result["settings"]))["layers"]
    assert len(layers) > 8 and "data" not in layers and not any("split" in n for n in layers)
    slow = brute_force(model, layers, model.names[:12])
    side = {key: int(np.sqrt(values.shape[2])) for key, values in slow.items()}
    for layer in layers:
        agrees(result, layer, slow[layer], (side[layer],) * 2, 3)


@pytest.mark.parametrize(
    "options",
    [
        ["--batch-size", "1", "--workers", "3"],
        ["--batch-size", "7", "--workers", "1"],
        ["--batch-size", "500", "--workers", "0"],
    ],
)
def test_neither_batches_nor_workers_change_a_byte(tiny, tmp_path, options):
    assert find(tiny, tmp_path / "a.npz", "--histograms", "--correlation") == 0
    options = [*options, "--histograms", "--correlation"]
    assert find_max_acts.main(tiny.arguments(tmp_path / "b.npz", *options)) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_chosen_layers_are_as_among_all(tiny, tmp_path):
    assert find(tiny, tmp_path / "all.npz") == 0
    assert find(tiny, tmp_path / "one.npz", "--layers", "conv1", "part/conv2") == 0
    all_layers, one = load(tmp_path / "all.npz"), load(tmp_path / "one.npz")
    for key in ("conv1/max_vals", "conv1/max_locs", "part/conv2/max_vals"):
        np.testing.assert_array_equal(one[key], all_layers[key])
    assert not any(key.startswith(("fc", "pool1")) for key in one)


def test_short_side_keeps_the_aspect(tiny, tmp_path):
    assert find(tiny, tmp_path / "a.npz") == 0
    assert find(tiny, tmp_path / "b.npz", "--resize", "stretch") == 0
    a, b = load(tmp_path / "a.npz"), load(tmp_path / "b.npz")
    assert (a["conv1/max_vals"] != b["conv1/max_vals"]).any()


def test_walks_a_folder(tiny, tmp_path):
    (tiny.photos / ".hidden").write_text("no")
    (tiny.photos / "labels.txt").write_text("a list beside the photos is none of them")
    paths = [tiny.prototxt, tiny.weights, tiny.photos, "-", tmp_path / "max.npz"]
    assert find_max_acts.main([*map(str, paths), "--workers", "0"]) == 0
    result = load(tmp_path / "max.npz")
    assert result["filenames"].tolist() == sorted(tiny.names)
    assert result["class_names"].tolist() == ["a", "b"]
    assert result["classes"].tolist() == [0 if n[0] == "a" else 1 for n in sorted(tiny.names)]


def spoil(folder):
    """Add every kind of bad file; return their names and what is said of them."""
    good = (folder / "a/photo 002.jpg").read_bytes()
    (folder / "a/truncated.jpg").write_bytes(good[: len(good) // 2])
    png = (folder / "a/photo 000.png").read_bytes()
    (folder / "a/truncated.png").write_bytes(png[: len(png) // 2])
    (folder / "a/text.jpg").write_text("this is no picture")
    (folder / "a/empty.jpg").touch()
    (folder / "a/folder.jpg").mkdir()
    bad = [f"a/{n}" for n in ("truncated.jpg", "truncated.png", "text.jpg", "empty.jpg")]
    return [*bad, "a/folder.jpg", "a/vanished.jpg"]


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_listed_and_skipped(own_tiny, tmp_path, workers):
    model, good = own_tiny, own_tiny.names
    out = tmp_path / "good.npz"
    assert find(model, out) == 0
    expected = load(out)
    bad = spoil(model.photos)
    names = [*bad[:3], *good[:20], *bad[3:], *good[20:]]
    model.write_list(names)
    done = model.find(tmp_path / "bad.npz", "--workers", workers)
    assert done.returncode == 1, done.stderr
    assert "6 bad file(s), 13.0 %" in done.stdout
    result = load(tmp_path / "bad.npz")
    assert [names[i] for i in result["bad_index"]] == bad
    for name, reason in zip(bad, result["bad_reason"], strict=True):
        assert reason and f"bad file {name}: {reason}" in done.stderr
    for layer in TINY_LAYERS:
        np.testing.assert_array_equal(result[f"{layer}/max_vals"], expected[f"{layer}/max_vals"])
        found = [[names[i] for i in row] for row in result[f"{layer}/max_locs"][..., 0]]
        assert found == [[good[i] for i in row] for row in expected[f"{layer}/max_locs"][..., 0]]
    assert model.find(tmp_path / "bad.npz", "--max-bad", "20%", "--workers", 0).returncode == 0


def test_only_bad_files(own_tiny, tmp_path, capsys):
    own_tiny.write_list(["not/here.jpg", "nor/there.jpg"])
    assert find(own_tiny, tmp_path / "max.npz") == 1
    assert "2 bad file(s), 100.0 %" in capsys.readouterr().out
    assert (load(tmp_path / "max.npz")["conv1/max_locs"] == -1).all()


def test_grey_net_mean_file_and_swap(tmp_path):
    grey = build_model(tmp_path / "grey", TINY.replace("dim: 3 dim: 40", "dim: 1 dim: 40"))
    mean = np.full((1, 60, 60), 100, np.float32)
    np.save(tmp_path / "mean.npy", mean)
    assert find(grey, tmp_path / "a.npz", "--mean", tmp_path / "mean.npy") == 0
    assert find(grey, tmp_path / "b.npz", "--mean", "100") == 0
    a, b = load(tmp_path / "a.npz"), load(tmp_path / "b.npz")
    np.testing.assert_array_equal(a["conv1/max_vals"], b["conv1/max_vals"])


def test_channel_swap_is_used(tiny, tmp_path):
    assert find(tiny, tmp_path / "a.npz", "--channel-swap", "0,1,2", "--mean", "None") == 0
    assert find(tiny, tmp_path / "b.npz", "--mean", "None") == 0
    a, b = load(tmp_path / "a.npz"), load(tmp_path / "b.npz")
    assert (a["conv1/max_vals"] != b["conv1/max_vals"]).any()


def errors(model, tmp_path):
    """Arguments that are wrong, and words of the sentence about each."""
    net, weights, photos, listed = (model.prototxt, model.weights, model.photos, model.list)
    out = tmp_path / "max.npz"
    empty, spaces = tmp_path / "empty.txt", tmp_path / "spaces.txt"
    empty.write_text("\n  \n")
    spaces.write_text("my own photo.jpg 3\n")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00\xd8")
    np.save(tmp_path / "small.npy", np.zeros((3, 8, 8)))
    normal = [net, weights, photos, listed, out]
    return {
        "no list": ([net, weights, photos, tmp_path / "none.txt", out], ["none.txt", "no such"]),
        "empty list": ([net, weights, photos, empty, out], ["empty.txt", "is empty"]),
        "spaces": ([net, weights, photos, spaces, out], ["line 1", "4 words", "tab"]),
        "binary": ([net, weights, photos, binary, out], ["binary.txt", "UTF-8"]),
        "no folder": ([net, weights, tmp_path / "no", listed, out], ["DATADIR", "not a folder"]),
        "no net": ([tmp_path / "n", weights, photos, listed, out], [str(tmp_path / "n")]),
        "no weights": ([net, tmp_path / "w", photos, listed, out], [str(tmp_path / "w")]),
        "layer": ([*normal, "--layers", "conv2"], ["no layer 'conv2'", "part/conv2"]),
        "in-place layer": ([*normal, "--layers", "relu1"], ["relu1", "writes 'conv1'"]),
        "input": ([*normal, "--layers", "data"], ["'data'", "no units"]),
        "out folder": ([*normal[:4], tmp_path / "none" / "max.npz"], ["max.npz", "no such"]),
        "out is folder": ([*normal[:4], tmp_path], ["is a folder"]),
        "mean": ([*normal, "--mean", "__import__('os')"], ["--mean", "neither"]),
        "mean size": ([*normal, "--mean", tmp_path / "small.npy"], ["(3, 8, 8)", "40x32"]),
        "mean count": ([*normal, "--mean", "1,2"], ["(2,)", "3 channels"]),
        "swap": ([*normal, "--channel-swap", "0,1,3"], ["0,1,3", "2,1,0"]),
        "settings": ([*normal, "--settings", tmp_path / "s.py"], ["s.py", "does not exist"]),
    }


def test_what_is_wrong_is_said_in_one_sentence(tiny, tmp_path, capsys):
    for name, (arguments, words) in errors(tiny, tmp_path).items():
        assert find_max_acts.main([*map(str, arguments)]) == 2, name
        printed = capsys.readouterr().err.strip()
        assert printed.startswith("find_max_acts: ") and "\n" not in printed, printed
        for word in words:
            assert word in printed, f"{name}: {word!r} not in {printed!r}"
    assert not (tmp_path / "max.npz").exists()


def test_folder_without_files_and_usage(tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    arguments = [tiny.prototxt, tiny.weights, tmp_path / "empty", "-", tmp_path / "m.npz"]
    done = run("find_max_acts", arguments)
    assert done.returncode == 2 and "holds no picture" in done.stderr
    for wrong in (["--N", "0"], ["--max-bad", "120"], ["--workers", "-1"]):
        done = run("find_max_acts", [*wrong, *arguments])
        assert done.returncode == 2 and wrong[0].lstrip("-") in done.stderr
        assert "Traceback" not in done.stderr


def test_decoded_pictures_are_pycaffes(tiny):
    """The fast resize differs from scikit-image's by rounding of floats only."""
    recipe = Recipe(3, 200, 210)
    for name in tiny.names[:8]:
        slow = caffe.io.resize_image(caffe.io.load_image(tiny.photos / name), (256, 256))
        fast = recipe.picture(str(tiny.photos / name))
        np.testing.assert_allclose(fast, 255 * slow[28:228, 23:233], atol=1e-3)


# input, --resize, --crop -> what the photo of 100x300 is resized to, and whether as the window
FITS = [
    ((227, 227), None, None, "stretch", (256, 256), False),
    ((224, 224), None, None, "stretch", (256, 256), False),
    ((227, 227), "short", None, "short", (256, 768), False),
    ((227, 227), None, "none", "short", (227, 227), True),
    ((28, 28), None, None, "short", (28, 28), True),
    ((28, 28), "stretch", "32", "stretch", (32, 32), False),
    ((28, 28), None, "32", "short", (32, 96), False),
    ((96, 160), None, None, "short", (96, 160), True),
    ((300, 300), None, "256", "short", (300, 300), True),
    ((96, 160), "stretch", "100x200", "stretch", (100, 200), False),
]


@pytest.mark.parametrize(("shape", "how", "crop", "resize", "size", "smooth"), FITS)
def test_what_a_photo_is_resized_to(shape, how, crop, resize, size, smooth):
    recipe = Recipe(3, *shape, resize=how, size=parse_size(crop))
    fit = recipe.fit
    assert (fit.resize, fit.resized(100, 300), fit.smooth) == (resize, size, smooth)
    assert fit(np.zeros((100, 300, 3), np.uint8)).shape == (*shape, 3)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))).fit == fit


def test_results_written_before_sizes_were_in_them():
    values = {"channels": 3, "height": 300, "width": 200, "resize": "stretch", "swap": [2, 1, 0],
              "mean": None, "raw_scale": 255.0, "input_scale": 1.0}  # fmt: skip
    fit = Recipe.from_json(values).fit
    assert (fit.resize, fit.size, fit.smooth) == ("stretch", (300, 256), False)
    assert Recipe.from_json({**values, "resize": "short"}).fit.size == (300, 300)


def test_a_small_net_sees_the_whole_digit(tmp_path):
    """As the window does, and not the middle ninth of it, enlarged."""
    digit = np.zeros((28, 28, 3), np.uint8)
    cv2.putText(digit, "7", (4, 24), 0, 0.95, (255,) * 3, 3)
    cv2.imwrite(str(tmp_path / "7.png"), digit)
    np.testing.assert_array_equal(Recipe(1, 28, 28).picture(str(tmp_path / "7.png")), digit)


@pytest.mark.parametrize("text", ["0", "a", "12x", "-3", "1,2,3"])
def test_a_crop_that_is_no_size(text):
    with pytest.raises(FindMaxesError, match="256x320"):
        parse_size(text)


def test_too_little_shared_memory(tiny, tmp_path, monkeypatch, capsys):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert find_max_acts.main(tiny.arguments(tmp_path / "max.npz", "--workers", "1")) == 2
    printed = capsys.readouterr().err
    assert "shared memory" in printed and "no space left" in printed and "--batch-size" in printed


class Deadly(Recipe):
    """A recipe whose process dies of one file."""

    def picture(self, path):
        if path == "kill":
            os._exit(3)
        return super().picture(path)


def test_the_decoders_death_is_the_files_fault(tiny):
    """A file that kills its process is bad; the others of its group are not."""
    good = str(tiny.photos / tiny.names[1])
    recipe = Deadly(3, 40, 32)
    paths = [[good, good], [good, "kill", good], [good], ["missing.jpg", good]]
    with decoders.Decoder(recipe, 3, 2) as decoder:
        groups = [(g.reasons, g.inputs.copy()) for g in decoder.groups(paths)]
    assert [len(reasons) for reasons, _ in groups] == [2, 3, 1, 2]
    assert groups[1][0] == [None, decoders.DIED, None]
    assert groups[3][0][0] and groups[3][0][1] is None
    expected = recipe.to_input(recipe.picture(good))
    for reasons, inputs in groups:
        for row, reason in zip(inputs, [*reasons, "padding", "padding"], strict=False):
            np.testing.assert_array_equal(row, expected if reason is None else 0)
    assert not multiprocessing.active_children()
