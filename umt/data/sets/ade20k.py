"""ADE20K in the layout of the scene parsing challenge of 2016 (Zhou et al. 2017): 150 classes, 0 means unlabelled."""

from __future__ import annotations

from pathlib import Path

from umt.data.contract import DatasetInfo, Sample
from umt.data.reading import annotated_samples


def read(root: Path, split: str) -> list[Sample]:
    """List images with their annotation PNG in order of name; its values are 0 (unlabelled) and class index + 1."""
    return annotated_samples(root / "images" / split, root / "annotations" / split)


INFO = DatasetInfo(
    name="ade20k",
    title="ADE20K",
    kind="segmentation",
    folder="ADEChallengeData2016",
    splits={"training": 20_210, "validation": 2000},
    classes=150,
    source="extract ADEChallengeData2016.zip from http://sceneparsing.csail.mit.edu/ there, "
    "so that it holds images/training and annotations/training",
    read=read,
)
