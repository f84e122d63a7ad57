"""The rules of ARCHITECTURE.md that import-linter cannot see: sizes, and who calls what.

The import arrows themselves are contracts in pyproject.toml; `make check` runs them, and
the first test here does, too.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [
    "torchcaffe",
    "toolbox",
    "caffevis",
    "optimize",
    "find_maxes",
    "bench",
    "apps",
    "visualizations",
    "findings",
]
SCRIPTS = ["live_vis.py", "live_notebook.py", "settings.py"]
GENERATED = "_pb2.py"
MAX_FUNCTION = 60
MAX_MODULE = 400


def sources() -> list[Path]:
    files = [ROOT / script for script in SCRIPTS if (ROOT / script).exists()]
    for package in PACKAGES:
        files += sorted((ROOT / package).rglob("*.py"))
    files += sorted((ROOT / "models").rglob("*.py"))
    return [file for file in files if not file.name.endswith(GENERATED)]


SOURCES = {str(file.relative_to(ROOT)): file for file in sources()}


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def test_import_arrows_hold():
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists() and shutil.which("lint-imports") is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [str(tool), "--config", "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SOURCES)
def test_functions_and_modules_are_short(name: str):
    text = SOURCES[name].read_text(encoding="utf-8")
    # settings.py is a list of documented settings, not code to hold in one's head.
    if name != "settings.py":
        assert len(text.splitlines()) <= MAX_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines"


def names_called(tree: ast.Module) -> set[str]:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {ast.unparse(func) for func in calls}


@pytest.mark.parametrize("name", SOURCES)
def test_only_the_window_talks_to_highgui(name: str):
    highgui = {"imshow", "waitKey", "waitKeyEx", "pollKey", "namedWindow", "destroyAllWindows"}
    called = {call.removeprefix("cv2.") for call in names_called(tree_of(SOURCES[name]))}
    if name not in {"toolbox/window/highgui.py", "toolbox/window/key_codes.py"}:
        assert not called & highgui


@pytest.mark.parametrize("name", SOURCES)
def test_no_assert_outside_tests(name: str):
    lines = [n.lineno for n in ast.walk(tree_of(SOURCES[name])) if isinstance(n, ast.Assert)]
    assert not lines, f"assert on lines {lines}: raise an error that says what to do"
