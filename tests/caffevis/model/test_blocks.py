"""Blocks told from names of well-known networks."""

from __future__ import annotations

import pytest

from caffevis.model.blocks import blocks_of

NAMES = {
    "GoogLeNet": (
        ["conv1/7x7_s2", "inception_3a/1x1", "inception_3a/output", "prob"],
        [("conv1", "7x7_s2"), ("inception_3a", "1x1"), ("inception_3a", "output"), ("", "prob")],
    ),
    "ResNet": (
        ["conv1", "res2a_branch1", "res2a_branch2a", "res2a", "res2b_branch2a", "res2b"],
        [("", "conv1"), ("res2a", "branch1"), ("res2a", "branch2a"), ("res2a", "res2a"),
         ("", "res2b_branch2a"), ("", "res2b")],
    ),
    "VGG, whose numbers say nothing alone": (
        ["conv1_1", "conv1_2", "pool1", "fc6"],
        [("conv1", "conv1_1"), ("conv1", "conv1_2"), ("", "pool1"), ("", "fc6")],
    ),
    "MobileNet: the longest beginning that is shared": (
        ["block_1_expand", "block_1_project", "block_2_expand", "block_2_project"],
        [("block_1", "expand"), ("block_1", "project"), ("block_2", "expand"),
         ("block_2", "project")],
    ),
    "deeper paths": (["a/b/c", "a/b/d"], [("a/b", "c"), ("a/b", "d")]),
    "odd ones": (["_", "a_", "/x", "x/", ""], [("", "_"), ("", "a_"), ("", "x"), ("x", "x/"),
                                                ("", "")]),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names_are_split_into_block_and_rest(case):
    names, expected = NAMES[case]
    assert blocks_of(names) == expected
