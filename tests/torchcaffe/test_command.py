"""The command `torchcaffe`: `info` prints a net as a table, `classify` the classes of a photo."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import torchcaffe as caffe
from torchcaffe.__main__ import main
from torchcaffe.describe import describe, size_text

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "caffenet-caltech101"
NET = """
name: "small"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 stride: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "left" type: "Pooling" bottom: "conv" top: "left"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "flat" type: "Flatten" bottom: "left" top: "flat" }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" param { name: "w" }
  inner_product_param { num_output: 8 bias_term: false } }
layer { name: "again" type: "InnerProduct" bottom: "ip" top: "out" param { name: "w" }
  inner_product_param { num_output: 8 bias_term: false } }
layer { name: "two" type: "Slice" bottom: "out" top: "a" top: "b" }
"""
TABLE = """\
layer  type          top   shape    parameters  sees  memory
data   Input         data  1x3x9x9                     972 B
conv   Convolution   conv  1x2x4x4          56   3x3   352 B
relu   ReLU          conv  1x2x4x4               3x3
left   Pooling       left  1x2x2x2               5x5    32 B
flat   Flatten       flat  1x8                   9x9
ip     InnerProduct  ip    1x8              64   9x9   288 B
again  InnerProduct  out   1x8                   9x9    32 B
two    Slice         a     1x4                   9x9    16 B
                     b     1x4                   9x9    16 B

small: 9 rows, 120 parameters (480 B), 307 values in blobs (1.2 KiB)
"""


def test_info_prints_every_layer(tmp_path, capsys):
    (tmp_path / "net.prototxt").write_text(NET, encoding="utf-8")
    assert main(["info", str(tmp_path / "net.prototxt")]) == 0
    assert capsys.readouterr().out == TABLE


def test_the_bundled_models_table(capsys):
    assert main(["info", str(MODEL / "deploy.prototxt")]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    net = caffe.Net(str(MODEL / "deploy.prototxt"), caffe.TEST)
    assert rows["conv1"] == ["conv1", "Convolution", "conv1", "1x96x55x55", "34,944", "11x11",
                             "1.2", "MiB"]  # fmt: skip
    assert rows["conv5"][5] == "163x163"
    total = sum(blob.count for blobs in net.params.values() for blob in blobs)
    assert f"{total:,} parameters" in describe(net)


@pytest.mark.parametrize(
    "count, text", [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (300 << 20, "300 MiB")]
)
def test_sizes_have_units(count, text):
    assert size_text(count) == text


def photo(folder):
    path = folder / "photo.png"
    Image.fromarray(np.full((8, 8, 3), (255, 0, 0), np.uint8)).save(path)
    return path


@pytest.fixture
def model(tmp_path):
    """Write a model whose classes are the mean of blue, green and red."""
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 '
        'dim: 8 dim: 8 } } } layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
        "pooling_param { pool: AVE global_pooling: true } } "
        'layer { name: "s" type: "Scale" bottom: "p" top: "s" '
        'scale_param { filler { type: "constant" value: 1 } } }',
        encoding="utf-8",
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.save(tmp_path / "net.caffemodel")
    (tmp_path / "labels.txt").write_text("blue\ngreen\nred\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "more, expected",
    [
        ([], "132.0000  red\n-104.0000  blue\n"),
        (["--mean", "none"], "255.0000  red\n  0.0000  blue\n"),
        (["--mean", "1,2,5"], "250.0000  red\n -1.0000  blue\n"),
        (["--mean", "none", "--raw-scale", "1"], "  1.0000  red\n  0.0000  blue\n"),
    ],
)
def test_classify_prints_the_best_classes(model, capsys, more, expected):
    call = ["classify", str(photo(model)), "--model", str(model), "--top", "2", *more]
    assert main(call) == 0
    assert capsys.readouterr().out.replace("  ", " ") == expected.replace("  ", " ")


def test_a_models_own_mean_and_the_current_folder(model, capsys, monkeypatch):
    np.save(model / "mean.npy", np.full((3, 4, 4), 55, np.float32))
    (model / "labels.txt").unlink()
    monkeypatch.chdir(model)
    assert main(["classify", str(photo(model)), "--top", "1"]) == 0
    assert capsys.readouterr().out.split() == ["200.0000", "2"]


def test_the_bundled_model_sees_a_leopard(capsys):
    call = ["classify", str(ROOT / "input_images" / "leopard.jpg"), "--model", str(MODEL)]
    assert main(call) == 0
    first = capsys.readouterr().out.splitlines()[0].split()
    assert first[1] == "Leopards" and float(first[0]) > 0.5


# What is wrong, and the sentence.
MISTAKES = {
    "no net": (["classify", "{photo}", "--model", "{empty}"], "holds no *.prototxt; name the"),
    "no weights": (["classify", "{photo}", "--model", "{net}"], "*.caffemodel or *.h5; name the"),
    "two nets": (["classify", "{photo}", "--model", "{two}"], "(a.prototxt, b.prototxt); name one"),
    "no photo": (["classify", "nothing.jpg", "--model", "{model}"], "the image nothing.jpg"),
    "no labels": (["classify", "{photo}", "--model", "{model}", "--labels", "x"], "open labels x"),
    "no mean": (
        ["classify", "{photo}", "--model", "{model}", "--mean", "x.npy"],
        "mean file x.npy",
    ),
    "a mean too many": (["classify", "{photo}", "--model", "{model}", "--mean", "1,2"], "(2,)"),
    "no definition": (["info", "nothing.prototxt"], "could not open file nothing.prototxt"),
    "Python layers": (["info", "{python}"], "give --allow-python-layers if you trust it"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_one_sentence(model, tmp_path, capsys, case):
    places = {"model": model, "photo": photo(model)}
    for name in ("empty", "net", "two"):
        places[name] = tmp_path / f"{name} folder"
        places[name].mkdir()
    shutil.copy(model / "net.prototxt", places["net"])
    for name in ("a", "b"):
        shutil.copy(model / "net.prototxt", places["two"] / f"{name}.prototxt")
    places["python"] = tmp_path / "python" / "net.prototxt"
    places["python"].parent.mkdir()
    places["python"].write_text(
        'layer { name: "p" type: "Python" top: "p" python_param { module: "os" layer: "abort" } }',
        encoding="utf-8",
    )
    call, sentence = MISTAKES[case]
    assert main([part.format(**places) for part in call]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err and captured.err.startswith("torchcaffe: ")
    assert captured.err.count("\n") == 1


# ---------------------------------------------------------------- what `pip install .` installs


def test_the_package_says_what_it_is():
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    module, _, function = project["project"]["scripts"]["torchcaffe"].partition(":")
    assert getattr(import_module(module), function) is main
    assert (ROOT / "torchcaffe" / "py.typed").is_file()
    (torch,) = [line for line in project["project"]["dependencies"] if line.startswith("torch")]
    assert torch in (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    alias = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text(encoding="utf-8"))
    assert alias["project"]["version"] == caffe.__version__
    assert alias["project"]["dependencies"] == [project["project"]["name"]]


def test_every_folder_of_the_package_is_installed():
    """`packages.find` takes only folders with an __init__.py."""
    folders = {path.parent for path in (ROOT / "torchcaffe").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
