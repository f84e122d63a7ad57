"""The benchmark's loop finds what the command finds."""

from __future__ import annotations

import numpy as np

from bench.lab.nets import CALTECH
from bench.rows import find_maxes as bench
from find_maxes import find_max_acts
from find_maxes.scan.maxes_file import read_maxes


def test_the_loop_and_the_command_find_the_same(tmp_path):
    names = sorted(path.name for path in bench.OWN_PHOTOS.glob("*.jpg"))[:6]
    (tmp_path / "list.txt").write_text("\n".join(names), encoding="utf-8")
    out = tmp_path / "max.npz"
    paths = [CALTECH.prototxt, CALTECH.caffemodel, bench.OWN_PHOTOS, tmp_path / "list.txt", out]
    assert find_max_acts.main([*map(str, paths), "--workers", "0"]) == 0
    maxes = read_maxes(out)
    loop = bench.OriginalLoop(
        CALTECH.load(), [bench.OWN_PHOTOS / name for name in names], list(maxes.values)
    )
    assert loop.run(len(names)) > 0
    assert len(loop.best) == 14
    for name, (values, images) in loop.best.items():
        found, scale = maxes.values[name][:, :6], np.abs(values[:, :6]).max()
        np.testing.assert_allclose(values[:, :6] / scale, found / scale, atol=1e-5)
        # equal or nearly equal values may come in another order
        apart = np.abs(np.diff(values[:, :6] / scale)).min(1) > 1e-4
        same = images[apart, :6] == maxes.locations[name][apart, :6, 0]
        assert same.all() and apart.any()
        assert (images[:, 6:] == -1).all()


def test_the_command_reports_what_the_benchmark_reads(tmp_path):
    command = bench.Command(tmp_path, bench.OWN_PHOTOS)
    names = sorted(path.name for path in bench.OWN_PHOTOS.glob("*.jpg"))[:3]
    seconds, maxes = command.run(names)
    assert not maxes.cards
    named = bench.Command(tmp_path, bench.OWN_PHOTOS, ["--labels", "--quantiles"])
    assert named.run(names)[1].cards["conv5"].silent is not None
    assert 0 < seconds < 60 and maxes.names == tuple(names)
    assert "top N" in command.shares
    assert command.peak > 0.05
