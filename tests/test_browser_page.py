"""docs/browser.md and the Dockerfile against the code: options, limits, files, commands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from live_vis import parse
from tests.e2e.conftest import ENVIRONMENT, HIDDEN
from toolbox.input import viewers
from toolbox.serve import command, limits, messages, server, sharing, viewer, window
from toolbox.serve.door import DEFAULT, parse_address
from toolbox.serve.picture import JPEG_QUALITY, STILL_SECONDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "browser.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
MB = 2**20

# The page's words, and the number in them.
NUMBERS = {
    "{} million": viewers.MAX_PIXELS / 1e6,
    "The last {} are kept": viewers.KEPT,
    "after {} seconds": sharing.ANSWER_SECONDS,
    "at quality {}": JPEG_QUALITY,
    "without loss {} s": STILL_SECONDS,
    "{} frames are on their way": viewer.UNCONFIRMED,
    "{} MB at most": messages.MAX_MESSAGE / MB,
    "{} kB of text": messages.MAX_TEXT / 1024,
    "{} MB of a camera's": messages.MAX_CAMERA / MB,
    "{} and 8 MB a second": limits.MESSAGES_A_SECOND,
    "300 and {} MB a second": limits.BYTES_A_SECOND / MB,
    "second, {} seconds' worth": limits.BURST_SECONDS,
    "and {} more": server.MORE_CONNECTIONS,
    "{} s for the first request": server.HANDSHAKE_SECONDS,
    "no picture for {} s": viewer.CONFIRM_SECONDS,
    "no ping for {} s": server.PING_SECONDS,
}
WORDS = {2: "two", 5: "five", 10: "ten"}


@pytest.mark.parametrize("words", NUMBERS)
def test_the_page_names_the_limits_that_are_in_force(words):
    number = NUMBERS[words]
    flat = " ".join(PAGE.split())
    said = {words.format(f"{number:g}"), words.format(WORDS.get(number, "?"))}
    assert any(each in flat for each in said), said
    assert window.LARGEST == 2 and "up to twice that of the desktop's" in flat


def test_the_pages_options_are_the_command_lines():
    table = re.findall(r"^\| `(--\w+)", PAGE, re.MULTILINE)
    assert table == ["--serve", "--token", "--viewers", "--public"]
    for line in re.findall(r"^    .*?live_vis\.py (--.*)$", PAGE, re.MULTILINE):
        options = parse(line.split())
        rules = command.read_rules(options)
        assert rules is not None
        assert rules.address.port == 8765
    assert f"`{DEFAULT}`" in PAGE
    js = (ROOT / "toolbox/serve/page/sending.js").read_text(encoding="utf-8")
    assert "MOST_BYTES = 15 * 1024 * 1024" in js and "up to 15 MB" in PAGE


def steps(word: str) -> list[list[str]]:
    """Return the arguments of each of the Dockerfile's steps of a kind."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.split()[1:] for line in joined.splitlines() if line.startswith(f"{word} ")]


def test_the_dockerfile_copies_what_there_is_and_runs_what_is_documented():
    for *sources, _ in steps("COPY"):
        assert all((ROOT / source).exists() for source in sources)
    assert steps("USER") == [["viewer"]]
    (port,) = steps("EXPOSE")[0]
    assert f"-p 127.0.0.1:{port}:{port}" in PAGE and f"-p 127.0.0.1:{port}:{port}" in DOCKERFILE
    entry = re.findall(r'"([^"]+)"', DOCKERFILE.split("ENTRYPOINT", 1)[1])
    rules = command.read_rules(parse(entry[2:]))
    assert (rules.address, rules.public) == (
        parse_address(f"0.0.0.0:{port}"), f"http://127.0.0.1:{port}",
    )  # fmt: skip
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [source.rstrip("/") for *sources, _ in steps("COPY") for source in sources]
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)
    packages = (ROOT / ".ci/run").read_text(encoding="utf-8")
    needed = re.findall(r"\blib[\w.+-]+", " ".join(steps("RUN")[0]))
    assert needed and all(f"[{name}]" in packages for name in needed)


def test_the_dockerfile_copies_each_package_that_what_it_copies_imports():
    """Imported when a key asks for it, too, as the search in photos is."""
    copied = {source.rstrip("/") for *sources, _ in steps("COPY") for source in sources}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    files = [file for name in copied & packages for file in (ROOT / name).rglob("*.py")]
    missing = {
        (str(file.relative_to(ROOT)), name)
        for file in files
        for name in re.findall(r"^\s*(?:from|import) (\w+)", file.read_text("utf-8"), re.MULTILINE)
        if name in packages - copied
    }
    assert not missing


def test_what_the_dockerfile_copies_is_all_that_the_window_needs(tmp_path, preloaded):
    """The image's steps in a bare folder: no daemon is needed to see what is forgotten."""
    for *sources, target in steps("COPY"):
        for source in sources:
            place = tmp_path / target / (source.rstrip("/") if target != "./" else source)
            if (ROOT / source).is_dir():
                skip = shutil.ignore_patterns("__pycache__", "unit_jpg_vis")
                shutil.copytree(ROOT / source, tmp_path / target, ignore=skip, dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / source, place.parent / Path(source).name)
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in ENVIRONMENT.items() if key not in HIDDEN}
    arguments = ["--headless", "--keys", "o", "--screenshot", "out.png"]
    done = preloaded.run([str(tmp_path / "live_vis.py"), *arguments], home, environment)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert [path.name for path in home.iterdir()] == ["out.png"]
