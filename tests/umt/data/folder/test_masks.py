"""Folders of images with masks: both layouts, their values, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umt.data.checks.items import validate
from umt.data.registry import dataset_info, find_dataset
from umt.data.targets.labels import UNLABELLED
from umt.errors import UMTError

LAYOUTS = {"ade": ("images/{}", "annotations/{}"), "camvid": ("{}", "{}annot")}


def write(root: Path, layout: str, *splits: str) -> Path:
    """Two images a split, with masks of the values 0, 1, 2 and 9."""
    for split in splits:
        images, masks = (root / template.format(split) for template in LAYOUTS[layout])
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for name in ("a", "b"):
            Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(images / f"{name}.jpg")
            Image.fromarray(np.resize(np.array([0, 1, 2, 9], np.uint8), (4, 6))).save(masks / f"{name}.png")
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_come_with_the_masks_of_their_names(tmp_path: Path, layout: str) -> None:
    root = write(tmp_path / "mine", layout, "train", "val", "test")
    dataset = find_dataset(f"folder:{root}?classes=3", tmp_path)
    validate(dataset)
    assert (dataset.info.kind, dataset.info.classes, dataset.title) == ("segmentation", 3, "mine")
    assert [sample.image.stem for sample in dataset.training_samples] == ["a", "b"]
    assert all(str(sample.target).endswith(f"{sample.image.stem}.png") for sample in dataset.reported_samples)
    assert dataset.info.roles.report == "val"
    assert list(dataset.info.label_names) == ["class 0", "class 1", "class 2"], "the values of the masks"


def test_other_values_are_void(tmp_path: Path) -> None:
    labels = dataset_info(f"folder:{write(tmp_path, 'ade', 'training', 'validation')}?classes=3").pixel_labels
    assert labels.indices(np.array([0, 1, 2, 3, 255])).tolist() == [0, 1, 2, UNLABELLED, UNLABELLED]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("classes=1", "classes=1 of a folder of masks; take 2 to 255"),
        ("classes=3&seed=1", "unknown field 'seed'"),
        ("classes=many", "classes"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, query: str, message: str) -> None:
    write(tmp_path, "ade", "train", "val")
    with pytest.raises(UMTError, match=message):
        dataset_info(f"folder:{tmp_path}?{query}")


def test_a_split_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ade", "train")
    with pytest.raises(UMTError, match="lacks images with masks; put them into images/train"):
        dataset_info(f"folder:{tmp_path}?classes=3")


def test_an_image_without_mask_is_named(tmp_path: Path) -> None:
    write(tmp_path, "camvid", "train", "val")
    (tmp_path / "valannot" / "b.png").unlink()
    with pytest.raises(UMTError, match=r"val/b\.jpg: no annotation"):
        find_dataset(f"folder:{tmp_path}?classes=3", tmp_path).samples("val")
