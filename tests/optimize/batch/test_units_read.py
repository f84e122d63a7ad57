"""What is read of a layer's scores is what was written, or nothing."""

from __future__ import annotations

import pytest

from optimize.batch.unit_jpgs import as_units

UNIT = {"channel": 1, "best_seed": 1, "is_strongest": [True, False], "meta_result": ["a", "b"]}


def test_what_was_written_is_read():
    assert as_units([UNIT], [1], 2) == [UNIT]


@pytest.mark.parametrize(
    "changed",
    [
        {"best_seed": 1.0}, {"best_seed": True}, {"best_seed": 2}, {"best_seed": -1},
        {"best_seed": [1]}, {"channel": 1.0}, {"channel": True}, {"channel": 2},
        {"is_strongest": [1, 0]}, {"is_strongest": [True]}, {"meta_result": "ab"}, {"note": 3},
        {"contrast": ["1", "2"]},
    ],
)  # fmt: skip
def test_anything_else_is_nothing(changed):
    assert as_units([{**UNIT, **changed}], [1], 2) is None
