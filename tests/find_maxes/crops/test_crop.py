"""Patches: where they are cut, what they show, and what is said when they can't be."""

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from find_maxes import crop_max_patches, find_max_acts
from find_maxes.crops import patch_pictures, patches
from find_maxes.photos.net_input import Recipe
from find_maxes.scan import maxes_file
from tests.find_maxes.conftest import TINY, run
from toolbox.pictures.stamp import read_stamp, stamp_of
from torchcaffe.regions import Region, receptive_field

MEAN = np.float32([104, 117, 123])


def find(model, out, *options):
    arguments = model.arguments(out, "--workers", "0", "--mean", "(104,117,123)", *options)
    assert find_max_acts.main(arguments) == 0
    return maxes_file.read_maxes(out)


def paths(model, maxes, out, *layers):
    return [maxes, model.prototxt, model.weights, model.photos, model.list, out, *layers]


def crop(*arguments):
    return crop_max_patches.main([*map(str, arguments), "--workers", "0"])


@pytest.fixture(scope="module")
def found(tiny, tmp_path_factory):
    """A scan of the tiny net and everything that can be cropped of it."""
    folder = tmp_path_factory.mktemp("crop")
    # Crops take the resizing from the scan's result.
    maxes = find(tiny, folder / "max.npz", "--N", "4", "--resize", "stretch", "--crop", "256")
    done = run(
        "crop_max_patches",
        ["--N", 3, "--workers", 1, *paths(tiny, folder / "max.npz", folder / "out")],
    )
    assert done.returncode == 0, done.stderr
    assert "0 value(s) not reproduced" in done.stdout
    return maxes, folder


def png(path):
    image = cv2.imread(str(path))
    assert image is not None, path
    return image[:, :, ::-1]


def slow_patch(model, name, layer, unit, row, column):
    """One image alone: the padded picture and diffs, cut at the receptive field."""
    net = caffe.Net(str(model.prototxt), str(model.weights), caffe.TEST)
    height, width = net.blobs["data"].shape[2:]
    recipe = Recipe(3, height, width, resize="stretch", size=(256, 256))
    picture = recipe.picture(str(model.photos / name))
    net.blobs["data"].data[...] = (picture[:, :, ::-1] - MEAN).transpose(2, 0, 1)
    net.forward()
    diff = np.zeros_like(net.blobs[layer].data)
    diff[(0, unit, row, column) if diff.ndim == 4 else (0, unit)] = 1
    region = receptive_field(net, layer, max(row, 0), max(column, 0), "data")
    pad = 300
    inner = (slice(pad + region.rows[0], pad + region.rows[1] + 1),
             slice(pad + region.columns[0], pad + region.columns[1] + 1))  # fmt: skip
    parts = {}
    wide = np.empty((height + 2 * pad, width + 2 * pad, 3), np.float32)
    wide[:] = MEAN[::-1]
    wide[pad:-pad, pad:-pad] = picture
    parts["maxim"] = np.rint(wide[inner])
    for kind, go in [("deconv", net.deconv_from_layer), ("backprop", net.backward_from_layer)]:
        back = go(layer, diff, zero_higher=True)["data"][0][::-1].transpose(1, 2, 0)
        wide[:] = 0
        wide[pad:-pad, pad:-pad] = back
        cut = wide[inner]
        assert np.abs(cut).sum() == pytest.approx(np.abs(back).sum(), rel=1e-5)
        parts[kind] = cut * (127.5 / max(np.abs(cut).max(), 1e-30)) + 127.5
        length = np.sqrt((cut**2).sum(2, keepdims=True)).repeat(3, 2)
        parts[f"{kind}norm"] = 255 * (length - length.min()) / max(np.ptp(length), 1e-30)
    return parts


@pytest.mark.parametrize("layer", ["conv1", "pool1", "part/conv2", "fc"])
def test_pictures_are_those_of_each_image_alone(found, tiny, layer):
    maxes, folder = found
    units = len(maxes.values[layer])
    for unit in (0, units - 1):
        for rank in range(3):
            image, _, row, column = maxes.locations[layer][unit, rank]
            expected = slow_patch(tiny, maxes.names[image], layer, unit, row, column)
            here = folder / "out" / layer / f"unit_{unit:04d}"
            for kind, picture in expected.items():
                found_picture = png(here / f"{kind}_{rank:03d}.png").astype(float)
                assert found_picture.shape == picture.shape
                np.testing.assert_allclose(found_picture, picture, atol=1.5, err_msg=kind)
        assert not (here / "maxim_003.png").exists()


def test_some_fields_leave_the_image(found):
    """Otherwise the test above would not see the fill."""
    maxes, folder = found
    rows = maxes.locations["conv1"][..., 2]
    unit, rank = np.argwhere(rows[:, :3] == 0)[0]
    picture = png(folder / f"out/conv1/unit_{unit:04d}/maxim_{rank:03d}.png")
    assert (picture[:2] == [123, 117, 104]).all() and (picture[2:] != [123, 117, 104]).any()


def test_info(found):
    maxes, folder = found
    lines = (folder / "out/conv1/unit_0003/info.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "layer conv1, unit 3"
    cells = [line.split("\t") for line in lines[2:]]
    assert [int(c[0]) for c in cells] == [0, 1, 2]
    for rank, c in enumerate(cells):
        image, label, row, column = maxes.locations["conv1"][3, rank]
        assert [int(c[i]) for i in (3, 4, 5, 6)] == [image, label, row, column]
        assert float(c[1]) == pytest.approx(maxes.values["conv1"][3, rank], rel=1e-5)
        assert float(c[2]) == pytest.approx(float(c[1]), rel=1e-3)
        assert c[7] == f"{3 * row - 2}..{3 * row + 4}" and c[9] == maxes.names[image]


@pytest.mark.parametrize("name", ["googlenet", "residual"])
def test_fields_of_other_graphs_hold_all_that_counts(name, request, tmp_path):
    """Pixels outside a patch change nothing; the patch's own do."""
    model = request.getfixturevalue(name)
    model.write_list(model.names[:12])
    maxes = find(model, tmp_path / "max.npz", "--N", "2")
    layers = list(maxes.values)[1::4]
    assert crop(*paths(model, tmp_path / "max.npz", tmp_path / "out", *layers)) == 0
    net = caffe.Net(str(model.prototxt), str(model.weights), caffe.TEST)
    random = np.random.default_rng(0)
    for layer in layers:
        image, _, row, column = maxes.locations[layer][0, 0]
        region = receptive_field(net, layer, row, column).clipped(64, 64)
        picture = Recipe(3, 64, 64).picture(str(model.photos / maxes.names[image]))
        x = (picture[:, :, ::-1] - MEAN).transpose(2, 0, 1)
        other = random.normal(0, 60, x.shape).astype(np.float32)
        inside = (slice(None), slice(region.rows[0], region.rows[1] + 1),
                  slice(region.columns[0], region.columns[1] + 1))  # fmt: skip
        other[inside] = x[inside]
        values = []
        for pixels in (x, other):
            net.blobs["data"].data[...] = pixels
            net.forward()
            values.append(float(net.blobs[layer].data[0, 0, row, column]))
        assert values[0] == pytest.approx(maxes.values[layer][0, 0], rel=1e-4, abs=1e-5)
        assert values[1] == pytest.approx(values[0], rel=1e-4, abs=1e-5)


def test_the_apps_pictures(found, tiny, tmp_path):
    maxes, folder = found
    arguments = paths(tiny, folder / "max.npz", tmp_path / "out", "part/conv2")
    assert (
        crop("--unit-jpg-dir", tmp_path / "jpg", "--idx-begin", 2, "--idx-end", 4, *arguments) == 0
    )
    written = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    names = ("made_from.json", "part/conv2_0002.jpg", "part/conv2_0003.jpg")
    assert written == [
        f"jpg/{kind}/part/conv2/{name}" for kind in ("max_deconv", "max_im") for name in names
    ]
    own = stamp_of(tiny.prototxt, tiny.weights)
    assert read_stamp(tmp_path / "jpg/max_im/part/conv2", tmp_path / "jpg") == own
    size = receptive_field(caffe.Net(str(tiny.prototxt), caffe.TEST), "part/conv2").height
    side = size * (patch_pictures.TILE // size)
    picture = png(tmp_path / "jpg/max_im/part/conv2/part/conv2_0002.jpg")
    assert picture.shape == (3 * side + 4, 3 * side + 4, 3)
    patch = png(folder / "out/part/conv2/unit_0002/maxim_001.png")
    tile = picture[1 : 1 + side, 2 + side : 2 + 2 * side].astype(float)
    factor = side // size
    shrunk = tile.reshape(size, factor, size, factor, 3).mean((1, 3))
    assert np.abs(shrunk - patch).mean() < 8  # JPEG
    fifth = picture[2 + side : 2 + 2 * side, 2 + side : 2 + 2 * side].astype(float)
    assert np.abs(fifth - [123, 117, 104]).mean() < 3  # N was 4


def test_only_what_is_asked_for(found, tiny, tmp_path):
    _, folder = found
    arguments = paths(tiny, folder / "max.npz", tmp_path / "out", "fc")
    assert crop("--do-backprop-norm", "--do-info", "--idx-end", 1, "--N", 1, *arguments) == 0
    written = sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written == ["backpropnorm_000.png", "info.txt"]


def test_changed_and_vanished_files_are_named(own_tiny, tmp_path, capsys):
    maxes = find(own_tiny, tmp_path / "max.npz", "--N", "2")
    used = np.unique(maxes.locations["conv1"][..., 0])
    changed, gone = own_tiny.names[used[0]], own_tiny.names[used[1]]
    (own_tiny.photos / gone).unlink()
    cv2.imwrite(str(own_tiny.photos / changed), np.zeros((50, 50, 3), np.uint8))
    assert crop(*paths(own_tiny, tmp_path / "max.npz", tmp_path / "out", "conv1")) == 1
    printed = capsys.readouterr()
    assert f"bad file {gone}: no such file" in printed.err
    assert f"on {changed}" in printed.err and "not reproduced: conv1 unit" in printed.err
    assert "1 bad file(s)" in printed.out


def errors(model, googlenet, maxes, tmp_path):
    normal = paths(model, maxes, tmp_path / "out")
    other = list(paths(googlenet, maxes, tmp_path / "out"))
    other[3:5] = normal[3:5]
    mixed = [*normal]
    mixed[1] = tmp_path / "larger.prototxt"
    mixed[1].write_text(TINY[: TINY.index('layer { name: "fc"')].replace("dim: 40", "dim: 44"))
    short = tmp_path / "short.txt"
    short.write_text("".join(f"{n}\n" for n in model.names[:-1]).replace(" ", "_"))
    text = tmp_path / "text.npz"
    text.write_text("no")
    array = tmp_path / "array.npz"
    np.savez(array, a=np.zeros(3))
    (tmp_path / "file").touch()
    return {
        "no maxes": ([tmp_path / "none.npz", *normal[1:]], ["none.npz", "does not exist"]),
        "no npz": ([text, *normal[1:]], ["text.npz", "not a result"]),
        "other npz": ([array, *normal[1:]], ["array.npz", "not a result"]),
        "another net": (other, ["other weights", "net.caffemodel"]),
        "another prototxt": (mixed, ["(3, 44, 32)", "(3, 40, 32)"]),
        "another list": ([*normal[:4], short, normal[5]], ["not the list", "image 0"]),
        "layer": ([*normal, "conv2"], ["no layer 'conv2'", "part/conv2"]),
        "units": (["--idx-begin", 90, *normal, "fc"], ["'fc'", "0 to 4"]),
        "no such unit": (
            ["--units", "1,5", *normal, "fc"],
            ["'fc'", "0 to 4", "none of --units 5"],
        ),
        "out": ([*normal[:5], tmp_path / "file" / "x"], ["can't be made"]),
    }


def test_units_of_a_list_and_no_others(found, tiny, tmp_path):
    _, folder = found
    arguments = paths(tiny, folder / "max.npz", tmp_path / "out", "part/conv2")
    assert crop("--do-maxes", "--units", "0,2-3", "--N", 1, *arguments) == 0
    made = sorted(p.name for p in (tmp_path / "out/part/conv2").iterdir() if p.is_dir())
    assert made == ["unit_0000", "unit_0002", "unit_0003"]


def test_what_is_wrong_is_said_in_one_sentence(found, tiny, googlenet, tmp_path, capsys):
    _, folder = found
    for name, (arguments, words) in errors(tiny, googlenet, folder / "max.npz", tmp_path).items():
        assert crop(*arguments) == 2, name
        printed = capsys.readouterr().err.strip()
        assert printed.startswith("crop_max_patches: ") and "\n" not in printed, printed
        for word in words:
            assert word in printed, f"{name}: {word!r} not in {printed!r}"
    assert not (tmp_path / "out").exists()


def tampered(folder, out, **changes):
    """A copy of a result with some arrays changed."""
    with np.load(folder / "max.npz", allow_pickle=False) as file:
        arrays = {**file, **{key.replace("__", "/"): value for key, value in changes.items()}}
    np.savez(out, **{key: value for key, value in arrays.items() if value is not None})
    return out


def test_tampered_results_are_refused(found, tiny, tmp_path, capsys):
    maxes, folder = found
    vals, locs = maxes.values["conv1"], maxes.locations["conv1"]
    far, none = locs.copy(), locs.copy()
    far[0, 0, 3] = 99
    none[0, 0, 0] = 40
    for changes in [
        {"conv1__max_vals": None},
        {"conv1__max_vals": vals.astype(str)},
        {"conv1__max_vals": vals[:, :2]},
        {"conv1__max_locs": none},
        {"conv1__max_locs": -5 * locs},
        {"conv1__max_locs": far},
        {"settings": np.array("{}")},
        {"settings": np.array("[1]")},
        {"settings": np.array("no json")},
        {"settings": np.array([object()], dtype=object)},
    ]:
        path = tampered(folder, tmp_path / "bad.npz", **changes)
        assert crop(*paths(tiny, path, tmp_path / "out", "conv1")) == 2, changes
        printed = capsys.readouterr().err.strip()
        assert "\n" not in printed and ("not a result" in printed or "another net" in printed)
        assert "pickle" not in printed


def test_same_weights_but_fewer_layers_scanned(tiny, tmp_path, capsys):
    find(tiny, tmp_path / "max.npz", "--layers", "fc")
    assert crop(*paths(tiny, tmp_path / "max.npz", tmp_path / "out", "conv1")) == 2
    assert "nothing of layer 'conv1'; it has fc" in capsys.readouterr().err


def test_cut_outside_and_far_away():
    values = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    out = patch_pictures.cut(values, Region((-1, 1), (2, 4)), (9,))
    assert out[:, :, 0].tolist() == [[9, 9, 9], [2, 3, 9], [6, 7, 9]]
    assert (patch_pictures.cut(values, Region((7, 8), (0, 1)), (5,)) == 5).all()


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", "a\\b", ".."])
def test_layers_names_do_not_lead_out_of_the_folder(name):
    with pytest.raises(Exception, match="no folder can have the name"):
        patch_pictures.layer_path(name)


@pytest.mark.parametrize(
    ("value", "now", "same"),
    [
        (50.0, 50.04, True),
        (50.0, 50.06, False),
        (0.001, 0.00105, True),  # half of float32's rounding of a sum of hundreds
        (0.001, 0.0015, False),
    ],
)
def test_what_counts_as_reproduced(value, now, same):
    """1e-3 of the value; near zero, of a thousandth of the layer's highest."""
    entry = patches.Entry(0, 0, value, 200.0, 3, -1, 1, 1)
    assert patches.Patch(entry, Region((0, 1), (0, 1)), now, {}).is_reproduced() is same
