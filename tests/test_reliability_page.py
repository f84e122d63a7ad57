"""docs/reliability.md against the code: the tests that it names exist, its limits are theirs."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.doors import knocking

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_the_tests_it_names_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", PAGE))
    assert len(named) > 6
    assert not [name for name in named if not (ROOT / name).exists()]


def test_its_limits_are_those_of_the_tests() -> None:
    assert f"never longer than {knocking.SECONDS} s or more than 2 GB" in PAGE
    assert "| `tests/doors`," in PAGE
