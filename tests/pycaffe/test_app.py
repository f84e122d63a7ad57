"""The app on a stand-in of pycaffe draws what it draws on the bundled engine."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import torchcaffe
from caffevis.model.opening import open_net
from caffevis.model.pycaffe import PycaffeNet
from live_vis import main
from settings import TABLE
from tests.pycaffe.tree import write_caffe
from toolbox.pictures.image_file import read_image
from toolbox.settings import config

SETTINGS = """
caffevis_deploy_prototxt = '{name}.prototxt'
caffevis_network_weights = 'weights.caffemodel'
caffevis_data_mean = (104, 117, 123)
caffevis_labels = 'labels.txt'
caffevis_label_layers = ('score', 'prob')
caffevis_prob_layer = 'prob'
static_files_dir = '.'
static_files_regexp = r'.*\\.png$'
input_updater_capture_device = None
"""


@pytest.fixture
def shot(files, tmp_path, capfd):
    """Run the app without a window; return the picture and what it printed."""

    def run(keys: str, root: Path | None, name: str = "plain", more: str = "", code: int = 0):
        text = SETTINGS.format(name=name) + more
        if root is not None:
            text += f"caffevis_caffe_root = {str(root)!r}\n"
        path = files / "settings.py"
        path.write_text(text, encoding="utf-8")
        out = tmp_path / "out.png"
        out.unlink(missing_ok=True)
        arguments = ["--settings", str(path), "--headless", "--screenshot", str(out)]
        capfd.readouterr()
        before = warnings.showwarning
        try:
            ended = main([*arguments, "--keys", keys])
        finally:
            warnings.showwarning = before
            path.unlink()
        printed = capfd.readouterr().err
        assert ended == code, printed
        return (read_image(out) if out.exists() else None), printed

    return run


KEYS = {
    "forward": "o o e",
    "grad": "o o o o down right n",
    "deconv": "o o o o o o down right n n",
    "deconv, normed": "sel_layer_right o o o o o o o down n n m m e",
    "guided": "o o o o o o down right n n n",
    "diffs": "o o o o o o o o down right n n d u u a",
    "lesions": "o o down space right space space o o down space space space",
    "who matters": "o o f2 = space = space",
    "noise and a lesion": "o o down space ' \\",
    "a step against the class": "o o down ' ' ' ' ' ' '",
}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("kind", ["BVLC", "deconv"])
def test_the_picture_is_the_same(shot, tmp_path, kind, keys):
    theirs, printed = shot(KEYS[keys], write_caffe(tmp_path / kind, kind))
    assert printed == ""
    assert sys.modules["caffe"].__file__.startswith(str(tmp_path))
    assert sys.modules["caffe._caffe"].MODES
    ours, printed = shot(KEYS[keys], None)
    assert printed == ""
    assert np.abs(theirs.astype(int) - ours).max() <= 1
    plain, _ = shot("", None)
    assert not np.array_equal(ours, plain)


def test_a_field_of_the_deconv_branch_works_on_stock_caffe(shot, bvlc):
    keys = "o o o o o o o o down n n"
    theirs, printed = shot(keys, bvlc, "ignores")
    assert printed == ""
    assert np.array_equal(theirs, shot(keys, None, "ignores")[0])


@pytest.mark.parametrize("keys", ["deconv", "guided"])
def test_the_checkouts_own_caffe_is_the_bundled_engine(shot, keys):
    ours = Path(torchcaffe.__file__).parents[1]
    theirs, printed = shot(KEYS[keys], ours)
    assert printed == ""
    assert sys.modules["caffe"].Net is torchcaffe.Net
    assert np.array_equal(theirs, shot(KEYS[keys], None)[0])


def test_a_root_without_a_caffe_is_one_note_and_the_bundled_engine(shot, tmp_path):
    picture, printed = shot("o", tmp_path / "nowhere")
    assert printed.count("\n") == 1
    assert printed.startswith("note: caffevis_caffe_root: there is no ")
    assert printed.endswith("; the bundled engine is used\n")
    assert np.array_equal(picture, shot("o", None)[0])


def test_a_broken_caffe_is_one_note_and_the_bundled_engine(shot, tmp_path):
    root = write_caffe(tmp_path / "old", init="print 'hello'")
    picture, printed = shot("o", root)
    assert printed.count("\n") == 1
    assert "SyntaxError" in printed
    assert np.array_equal(picture, shot("o", None)[0])


# What would end the process inside Caffe is said before Caffe sees it.
MISTAKES = {
    "weights of another net": ("plain", "other.caffemodel", "conv1"),
    "damaged weights": ("plain", "labels.txt", "labels.txt"),
    "missing weights": ("plain", "none.caffemodel", "none.caffemodel"),
    "missing definition": ("none", "weights.caffemodel", "none.prototxt"),
    "broken definition": ("broken", "weights.caffemodel", "broken.prototxt"),
    "Python layer": ("python", "weights.caffemodel", "--allow-python-layers"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_wrong_files_are_one_sentence(shot, files, bvlc, case):
    name, weights, message = MISTAKES[case]
    plain = (files / "plain.prototxt").read_text(encoding="utf-8")
    (files / "broken.prototxt").write_text(plain + "}", encoding="utf-8")
    (files / "python.prototxt").write_text(
        plain + 'layer { name: "p" type: "Python" bottom: "prob" top: "p" '
        'python_param { module: "os" layer: "abort" } }', encoding="utf-8",
    )  # fmt: skip
    (files / "other.prototxt").write_text(
        plain.replace("kernel_size: 5", "kernel_size: 4"), "utf-8"
    )
    other = torchcaffe.Net(str(files / "other.prototxt"), torchcaffe.TEST)
    other.save(str(files / "other.caffemodel"))
    more = f"caffevis_network_weights = {weights!r}\n"
    picture, printed = shot("", bvlc, name, more, code=2)
    assert picture is None
    assert message in printed
    assert printed.count("\n") == 1
    assert "Traceback" not in printed


def test_a_layer_that_only_their_caffe_knows_goes_unchecked(shot, files, bvlc, monkeypatch):
    plain = (files / "plain.prototxt").read_text(encoding="utf-8")
    (files / "own.prototxt").write_text(plain, encoding="utf-8")
    build = torchcaffe.Net.__init__

    def unknown_to_us(net, network_file, *args, **kwargs):
        if Path(network_file).parent == files:  # pycaffe gets a copy elsewhere
            raise torchcaffe.DefinitionError("the unknown type 'Theirs'")
        build(net, network_file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torchcaffe.Net, "__init__", unknown_to_us)
        assert "unknown type" in shot("", None, "own", code=2)[1]
        # A heading would tell how much a unit sees, which is asked of the bundled engine.
        plain = "pane_headings = False\n"
        theirs, printed = shot("o o down n n", bvlc, "own", plain)
    assert printed == ""
    assert np.array_equal(theirs, shot("o o down n n", None, "own", plain)[0])


def test_batches_become_one_image_only_where_that_is_safe(shot, files, bvlc):
    plain = (files / "plain.prototxt").read_text(encoding="utf-8")
    several = plain.replace("dim: 1 dim: 3", "dim: 4 dim: 3")
    fixed = several.replace('bottom: "data" top: "norm0"', 'bottom: "fixed" top: "norm0"').replace(
        'layer { name: "norm0"',
        'layer { name: "fixed" type: "Reshape" bottom: "data" top: "fixed" reshape_param { '
        'shape { dim: 4 dim: 3 dim: 24 dim: 24 } } }\nlayer { name: "norm0"',
    )
    (files / "several.prototxt").write_text(several, encoding="utf-8")
    (files / "fixed.prototxt").write_text(fixed, encoding="utf-8")
    for name, batch in (("several", 1), ("fixed", 4)):
        table = config.load(TABLE, None).replaced(
            caffevis_deploy_prototxt=str(files / f"{name}.prototxt"),
            caffevis_network_weights=str(files / "weights.caffemodel"),
            caffevis_caffe_root=str(bvlc),
        )
        net = open_net(table)
        assert isinstance(net, PycaffeNet)
        assert {values.shape[0] for values in net.blobs.values()} == {batch}
        assert net.regions_net.blobs["fc"].shape == net.blobs["fc"].shape
        theirs, printed = shot("o o o down n n", bvlc, name)
        assert printed == ""
        assert np.array_equal(theirs, shot("o o o down n n", None, name)[0])
