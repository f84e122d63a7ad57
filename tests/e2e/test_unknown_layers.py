"""Networks with a layer that nobody knows: the window and the batch tools open the rest."""

import pytest

from find_maxes.scan.network import NetFiles
from optimize.command.open_model import ModelSpec, open_optimizer

GLUE = """
layer { name: "glue" type: "Glue" bottom: "conv2" top: "glue" }
layer { name: "after" type: "ReLU" bottom: "glue" top: "after" }
"""
NOTE = "2 of 10 layers are left out: 'glue', of the unknown type 'Glue', and what depends on it"


@pytest.fixture
def glued(world, tmp_path):
    """Return the tiny network's definition with such a layer."""
    text = (world / "tiny.prototxt").read_text(encoding="utf-8")
    (tmp_path / "glued.prototxt").write_text(text + GLUE, encoding="utf-8")
    return tmp_path / "glued.prototxt"


def test_the_window_opens_with_one_note(in_process, world, tmp_path, glued):
    settings = world / "glued_settings.py"
    base = (world / "settings.py").read_text(encoding="utf-8")
    line = f"caffevis_deploy_prototxt = {str(glued)!r}\n"
    settings.write_text(base + line, encoding="utf-8")
    ended = in_process("--headless", "--screenshot", tmp_path / "out.png", settings=settings)
    assert ended.code == 0
    assert ended.err.count(NOTE) == 1
    assert (tmp_path / "out.png").exists()


@pytest.mark.parametrize("tool", ["optimize", "find_maxes"])
def test_the_batch_tools_open_it(tool, world, glued):
    weights = str(world / "tiny.caffemodel")
    with pytest.warns(UserWarning, match=NOTE):
        if tool == "optimize":
            open_optimizer(ModelSpec(str(glued), weights))
        else:
            assert NetFiles(str(glued), weights).open().outputs == ["prob"]
