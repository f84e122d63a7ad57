"""The rows of imported networks: their contenders compute the same, and the goals are said."""

from __future__ import annotations

import torch
from torch import nn

import torchcaffe as caffe
from bench.lab.resnet import ResNet18
from bench.rows import imported


def test_contenders_agree_and_the_goals_are_said():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 7, 8), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    tables = imported._timed("tiny", module, caffe.from_torch(module), 2, 0.01)
    assert [table.title for table in tables] == [
        "forward, tiny, batch 2", "forward and backprop, tiny, batch 2",
    ]  # fmt: skip
    for table, limit in zip(tables, ("1.05", "1.1"), strict=True):
        agreement, said = table.notes
        assert float(agreement.split()[-1]) < 1e-5
        assert f"goal: at most {limit};" in said


def test_resnet18_has_the_papers_parameters():
    # He et al. 2015; 11,689,512 with 1000 classes
    assert sum(p.numel() for p in ResNet18().parameters()) == 11_689_512
