"""How many cores there are to work on."""

from __future__ import annotations

from toolbox.workers import cores as module


def test_cores_are_those_the_process_may_use(monkeypatch):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {2, 5}, raising=False)
    assert module.cores() == 2
    monkeypatch.delattr(module.os, "sched_getaffinity")
    monkeypatch.setattr(module.os, "cpu_count", lambda: 6)
    assert module.cores() == 6
