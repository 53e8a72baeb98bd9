"""The benchmark of correspondences compares equal answers."""

from __future__ import annotations

import re

import pytest
import torch

from benchmarks.perf.correspondence import Album, matching_row, row

CPU = torch.device("cpu")


@pytest.mark.parametrize("compare", [row, matching_row])
def test_both_give_the_same_pck(compare) -> None:  # type: ignore[no-untyped-def]
    album = Album(images=6, keypoints=20, side=64, spec="timm:test_vit?pretrained=false")
    ours, theirs = map(float, re.findall(r"\d+\.\d+", compare(album, CPU).note))
    assert ours == theirs
    assert 0 < ours < 100
