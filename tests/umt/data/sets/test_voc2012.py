"""The VOC 2012 layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import VOCSegmentation

from umt.data.checks.items import validate
from umt.data.registry import Dataset, dataset_info, find_dataset
from umt.data.sets.voc2012 import write_mini as write_voc2012
from umt.errors import UMTError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_voc2012(tmp_path / "VOCdevkit" / "VOC2012", (3, 2))
    return tmp_path


def test_it_reads_as_torchvision_does(root: Path) -> None:
    dataset = find_dataset("voc2012", root)
    validate(dataset)
    for split in ("train", "val"):
        theirs = VOCSegmentation(str(root), image_set=split)
        samples = dataset.samples(split)
        assert [str(sample.image) for sample in samples] == theirs.images
        assert [str(sample.target) for sample in samples] == theirs.masks
    labels = {
        int(value) for sample in dataset.samples("train") for value in np.unique(np.asarray(Image.open(sample.target)))
    }
    assert {0, 255} < labels <= {0, 11, 18, 255}


def test_its_aug_variant_has_masks_of_its_own(root: Path) -> None:
    folder = root / "VOCdevkit" / "VOC2012"
    (folder / "SegmentationClass").rename(folder / "SegmentationClassAug")
    (folder / "ImageSets/Segmentation/train.txt").rename(folder / "ImageSets/Segmentation/trainaug.txt")
    info = dataset_info("voc2012?train=aug")
    assert info.splits == {"trainaug": 10_582, "val": 1449}
    assert [sample.target.parent.name for sample in Dataset(info, folder).samples("trainaug")] == [
        "SegmentationClassAug"
    ] * 3
    with pytest.raises(UMTError, match="the only variant of VOC 2012 is 'voc2012\\?train=aug'"):
        dataset_info("voc2012?train=all")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "SegmentationClass/2012_000000.png").unlink(), "is listed in .* but missing"),
        (lambda root: (root / "ImageSets/Segmentation/train.txt").write_text("../2012_000000\n"), "is no path below"),
        (lambda root: (root / "ImageSets/Segmentation/train.txt").unlink(), "file of the data set is missing"),
    ],
)
def test_what_is_wrong_is_named(root: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(root / "VOCdevkit" / "VOC2012")
    with pytest.raises(UMTError, match=message):
        find_dataset("voc2012", root).samples("train")
