"""The README's table of keys against the bindings, and its links against the tree."""

from __future__ import annotations

import re
from pathlib import Path

from caffevis.app import CaffeVisApp
from toolbox.app.core import CORE_BINDINGS
from toolbox.app.protocol import all_bindings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_keys_has_every_binding_and_no_other():
    section = README.split("## Keys", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    written = [key for row in rows for key in re.findall(r"`([^`]+)`", row)]
    bound = [key for row in all_bindings(CORE_BINDINGS, [CaffeVisApp]) for key in row.keys]
    assert sorted(written) == sorted(bound)


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert "ARCHITECTURE.md" in links
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing
