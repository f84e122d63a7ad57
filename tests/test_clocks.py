"""Clocks that are put forward or back change nothing: the time of day decides nothing.

What lasts is measured by clocks that only go forward (`time.monotonic`, `perf_counter`), and what
came later is told by counting. A new use of the time of day is a row here, with its reason.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT, checkout

TIME_OF_DAY = re.compile(
    r"time\.time\b|time_ns\(|datetime|strftime|localtime|gmtime|from time import|"
    r"getmtime|getctime|st_[mac]time|utime\("
)
# File -> how often, and why a jump is no harm there.
ALLOWED = {
    "toolbox/record/snapshots.py": (1, "names files; what exists is never written over"),
    "toolbox/pictures/file_versions.py": (1, "whether two times are equal, not which is later"),
    "caffevis/units/loader.py": (1, "whether two times are equal, not which is later"),
}


def test_the_time_of_day_is_used_in_named_places_only() -> None:
    uses = {}
    sources = [Path(path) for path in checkout() if path.endswith(".py")]
    for path in sources:
        if path.is_relative_to(ROOT / "tests"):
            continue
        code = re.sub(r"#[^\n]*", "", path.read_text(encoding="utf-8"))
        if count := len(TIME_OF_DAY.findall(code)):
            uses[path.relative_to(ROOT).as_posix()] = count
    assert uses == {name: count for name, (count, _) in ALLOWED.items()}
