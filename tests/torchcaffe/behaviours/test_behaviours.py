"""pycaffe's behaviours: what small programs see on a real Caffe, they see here.

`answers.json` holds what the wheel kendryte-caffe (BVLC Caffe 1.0) answered; `make_answers.py`
makes it anew.
"""

import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import torchcaffe

HERE = Path(__file__).parent
DOCS = HERE.parents[2] / "docs" / "pycaffe.md"
ANSWERS = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))


def load_programs():
    """Import programs.py, which finds nets.py beside it, as it does under the real Caffe."""
    sys.path.insert(0, str(HERE))
    try:
        spec = importlib.util.spec_from_file_location("programs", HERE / "programs.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(HERE))
        sys.modules.pop("nets", None)
    return module


PROGRAMS = load_programs().PROGRAMS


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Run each program in a folder of its own, and forget its modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        if name.split(".")[0] in ("caffe", "user_layers"):
            del sys.modules[name]
    assert os.getcwd() == str(tmp_path)


def check(found, expected, where=""):
    """Compare nested lists and dictionaries; numbers up to float32's rounding."""
    if isinstance(expected, dict):
        assert sorted(found) == sorted(expected), where
        for key, value in expected.items():
            check(found[key], value, f"{where} {key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            check(one, other, f"{where}[{i}]")
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=where)
    else:
        assert found == expected, where


def test_every_program_has_its_answer_and_its_row():
    assert list(PROGRAMS) == list(ANSWERS)
    table = DOCS.read_text(encoding="utf-8").split("### What they see")[1].split("\n###")[0]
    rows = [line.split("|")[2].strip() for line in table.splitlines() if line.startswith("|")]
    assert rows[2:] == [" ".join(call.__doc__.split()) for call in PROGRAMS.values()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_see_what_they_see_on_a_real_caffe(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = PROGRAMS[name](torchcaffe)
    check(json.loads(json.dumps(found)), ANSWERS[name], name)
