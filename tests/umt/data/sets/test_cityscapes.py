"""The Cityscapes layout, and its label ids against mmseg's table of the official script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmseg.datasets import CityscapesDataset
from PIL import Image

from umt.data.checks.items import validate
from umt.data.registry import find_dataset
from umt.data.sets.cityscapes import INFO, write_mini
from umt.errors import UMTError

# trainId of each id from 0, official labels.py (cityscapesScripts)
TRAIN_IDS = [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, *range(6, 16), 255, 255, 16, 17, 18]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two frames a split, of two cities, with every id that there is."""
    ids = np.resize(np.array([*range(34), 255], np.uint8), (20, 40))
    for split in ("train", "val"):
        for city in ("ulm", "bonn"):
            stem = f"{city}_000000_000019"
            for part, end, pixels in (
                ("leftImg8bit", "leftImg8bit", np.zeros((20, 40, 3), np.uint8)),
                ("gtFine", "gtFine_labelIds", ids),
                ("gtFine", "gtFine_instanceIds", ids),
            ):
                path = tmp_path / "cityscapes" / part / split / city / f"{stem}_{end}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return tmp_path


def test_frames_of_all_cities_in_order(root: Path) -> None:
    dataset = find_dataset("cityscapes", root)
    validate(dataset)
    assert [sample.image.parent.name for sample in dataset.samples("val")] == ["bonn", "ulm"]
    assert all(str(sample.target).endswith("_gtFine_labelIds.png") for sample in dataset.samples("val"))


def test_ids_become_the_official_train_ids() -> None:
    assert INFO.pixel_labels.indices(np.arange(34)).tolist() == TRAIN_IDS
    assert INFO.label_names == CityscapesDataset.METAINFO["classes"]


def test_a_frame_without_annotation_is_named(root: Path) -> None:
    (root / "cityscapes/gtFine/val/ulm/ulm_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(UMTError, match=r"ulm_000000_000019_leftImg8bit\.png: no annotation"):
        find_dataset("cityscapes", root).samples("val")


def test_the_embedded_version_has_the_official_layout(tmp_path: Path) -> None:
    write_mini(tmp_path / "cityscapes", (3, 2))
    dataset = find_dataset("cityscapes", tmp_path)
    validate(dataset)
    assert [len(dataset.samples(split)) for split in ("train", "val")] == [3, 2]
    seen = {int(value) for sample in dataset.samples("val") for value in np.unique(Image.open(str(sample.target)))}
    assert {7, 8, 11, 23} <= seen, "road, sidewalk, building and sky"
