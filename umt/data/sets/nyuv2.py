"""NYU Depth v2 (Silberman et al. 2012) in MMSegmentation's layout: RGB, and depth as 16-bit PNG in millimetres."""

from __future__ import annotations

from pathlib import Path

from umt.data.contract import DatasetInfo, Sample
from umt.data.reading import annotated_samples


def read(root: Path, split: str) -> list[Sample]:
    """List images with their depth PNG in order of name; its values are millimetres, 0 if nothing was measured."""
    return annotated_samples(root / "images" / split, root / "annotations" / split)


INFO = DatasetInfo(
    name="nyuv2",
    title="NYUv2",
    kind="depth",
    folder="nyu",
    splits={"train": 24_231, "test": 654},
    classes=None,
    source="run `umt data prepare nyuv2` on nyu.zip of MMSegmentation's dataset guide, or on the labelled .mat of "
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html and its splits.mat",
    read=read,
    variants={"NYUv2, labelled pairs only (795 to train)": {"train": 795, "test": 654}},
)
