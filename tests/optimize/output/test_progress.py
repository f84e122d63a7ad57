"""Progress without a terminal: lines for a log."""

from __future__ import annotations

import time

from optimize.output.progress import Progress


def test_progress_in_a_log_says_how_far_it_is_and_how_long_the_rest_takes(capfd):
    progress = Progress(40, every=0.02)
    progress.name("conv1")
    progress.finish(20)  # made before: says nothing about the speed
    tick = progress.ticks(4)
    for _ in range(4):
        tick(5)
        time.sleep(0.05)
    progress.finish(5)
    time.sleep(0.1)
    progress.close()
    lines = capfd.readouterr().err.splitlines()
    assert lines[-1].startswith("conv1: 25.0 of 40 images, 00:00 gone, 00:0"), lines
    assert lines[-1].endswith(" left")


def test_quiet_progress_says_nothing(capfd):
    progress = Progress(1, quiet=True, every=0.01)
    time.sleep(0.05)
    progress.close()
    assert capfd.readouterr().err == ""
