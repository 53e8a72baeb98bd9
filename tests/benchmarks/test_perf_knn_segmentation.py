"""The benchmark of in-context segmentation compares equal answers."""

from __future__ import annotations

import re

import torch

from benchmarks.perf.knn_segmentation import Scenes, row


def test_both_give_the_same_miou() -> None:
    measured = row(Scenes(train=3, test=2, labels=9, side=128, width=16, memory=60), torch.device("cpu"))
    ours, theirs = map(float, re.findall(r"\d+\.\d+", measured.note))
    assert abs(ours - theirs) < 0.05
    assert 10 < ours < 100
