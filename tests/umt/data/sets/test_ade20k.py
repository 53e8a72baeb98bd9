"""The ADE20K layout, on genuine images."""

from __future__ import annotations

from pathlib import Path

from mmseg.datasets import ADE20KDataset

from umt.data.checks.items import validate
from umt.data.registry import find_dataset
from umt.data.sets.ade20k import INFO


def test_genuine_images(real_data: Path) -> None:
    dataset = find_dataset("ade20k", real_data / "ade20k_genuine")
    validate(dataset)
    assert dataset.sizes == {"training": 3, "validation": 3}
    first = dataset.samples("validation")[0]
    assert first.image.name == "ADE_val_00000001.jpg"
    assert first.target == dataset.root / "annotations" / "validation" / "ADE_val_00000001.png"
    assert dataset.class_names == []


def test_classes_have_the_names_of_the_challenge() -> None:
    """Compare with MMSegmentation's list."""
    assert INFO.label_names == ADE20KDataset.METAINFO["classes"]
    assert len(INFO.pixel_labels.classes) == 150
