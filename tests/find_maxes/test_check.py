"""The slow check finds what is wrong, and nothing where all is right."""

import numpy as np
import pytest

from find_maxes import check, find_max_acts
from find_maxes.scan import maxes_file
from tests.find_maxes.conftest import TINY, Model, build_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    found = build_model(tmp_path_factory.mktemp("check"), TINY)
    found.write_list(found.names)
    out = found.folder / "max.npz"
    assert find_max_acts.main(found.arguments(out, "--workers", "0")) == 0
    return found


def arguments(model, maxes, *more):
    prototxt, weights, photos, listed, _ = model.arguments(maxes)[-5:]
    return [str(v) for v in (maxes, prototxt, weights, photos, listed)] + list(more)


@pytest.mark.parametrize("more", [[], ["--exhaustive"]])
def test_a_right_result_passes(model, capsys, more):
    assert check.main(arguments(model, model.folder / "max.npz", *more)) == 0
    out = capsys.readouterr().out
    assert "0 faults" in out
    if more:
        assert f"on {len(model.names)} images" in out


def value(arrays):
    arrays["conv1/max_vals"][2, 3] *= 1 + 5e-4
    return "conv1 unit 2"


def place(arrays):
    arrays["part/conv2/max_locs"][1, 0, 2:] = (arrays["part/conv2/max_locs"][1, 0, 2:] + 1) % 4
    return "part/conv2 unit 1"


def order(arrays):
    for name in ("fc/max_vals", "fc/max_locs"):
        arrays[name][4, :2] = arrays[name][4, 1::-1].copy()
    return "fc unit 4: its images are not in order"


def twice(arrays):
    for name in ("fc/max_vals", "fc/max_locs"):
        arrays[name][0, 1] = arrays[name][0, 0]
    return "fc unit 0: an image comes twice"


@pytest.mark.parametrize("tamper", [value, place, order, twice])
def test_a_wrong_one_is_found(model, capsys, tmp_path, tamper):
    with np.load(model.folder / "max.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    said = tamper(arrays)
    maxes_file.write(tmp_path / "bad.npz", arrays, compress=True)
    assert check.main(arguments(model, tmp_path / "bad.npz")) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("off", "status"), [(3e-7, 0), (3e-6, 1)])
def test_a_value_near_zero_may_be_off_by_rounding_only(model, capsys, tmp_path, off, status):
    """As sums are that cancel out: some 1e-7 of the layer's highest, whatever their own size."""
    whole = tmp_path / "whole.npz"
    assert find_max_acts.main(model.arguments(whole, "--workers", "0", "--N", "40")) == 0
    with np.load(whole) as archive:
        arrays = {name: archive[name] for name in archive.files}
    values = arrays["fc/max_vals"]
    nearest = np.unravel_index(np.abs(values).argmin(), values.shape)
    highest = np.abs(values).max()
    assert abs(values[nearest]) < check.LEAST * highest
    values[nearest] -= off * highest
    maxes_file.write(tmp_path / "off.npz", arrays, compress=True)
    capsys.readouterr()
    assert check.main(arguments(model, tmp_path / "off.npz")) == status
    assert f"{status} faults" in capsys.readouterr().out


def test_an_image_left_out_is_found_where_all_are_looked_at(model, capsys, tmp_path):
    with np.load(model.folder / "max.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, gone in (("fc/max_vals", -np.inf), ("fc/max_locs", -1)):
        arrays[name][3, :-1] = arrays[name][3, 1:].copy()
        arrays[name][3, -1] = gone
    maxes_file.write(tmp_path / "bad.npz", arrays, compress=True)
    assert check.main(arguments(model, tmp_path / "bad.npz")) == 0
    capsys.readouterr()
    assert check.main(arguments(model, tmp_path / "bad.npz", "--exhaustive")) == 1
    assert "fc unit 3" in (err := capsys.readouterr().err) and "was left out" in err


def test_errors_are_one_sentence(model, capsys, tmp_path):
    assert check.main(arguments(model, tmp_path / "none.npz")) == 2
    err = capsys.readouterr().err
    assert "none.npz" in err and err.count("\n") == 1


def other_net(model, folder, old, new, *, own_weights=True):
    """The model with another definition, as files; its weights stay where they still fit."""
    text = TINY.replace(old, new)
    assert text != TINY
    if own_weights:
        return build_model(folder, text)
    (folder / "net.prototxt").write_text(text, encoding="utf-8")
    return Model(folder, folder / "net.prototxt", model.weights)


def test_a_result_of_another_net_is_refused(model, capsys, tmp_path):
    """Layers of the same names, but other weights, fewer units, or smaller maps."""
    for number, (old, new, own_weights, words) in enumerate(
        [
            ("num_output: 8", "num_output: 4", True, "was made with other weights"),
            ("stride: 3 pad: 2", "stride: 3 pad: 1", False, "MAXES is of another net"),
            ("dim: 40 dim: 32", "dim: 40 dim: 33", False, "the net's input has the shape"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        other = other_net(model, folder, old, new, own_weights=own_weights)
        paths = [model.folder / "max.npz", other.prototxt, other.weights, model.photos, model.list]
        assert check.main([*map(str, paths)]) == 2
        printed = capsys.readouterr().err
        assert words in printed and printed.count("\n") == 1, printed
