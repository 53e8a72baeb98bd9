"""The DAVIS 2017 layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umt.data.checks.items import validate
from umt.data.registry import find_dataset
from umt.data.sets.davis2017 import write_mini
from umt.errors import UMTError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_mini(tmp_path / "DAVIS", (1, 2))
    return tmp_path


def test_frames_follow_each_other_with_their_masks(root: Path) -> None:
    dataset = find_dataset("davis2017", root)
    validate(dataset)
    assert dataset.sizes == {"train": 12, "val": 24}
    samples = dataset.samples("val")
    assert samples[0].image == dataset.root / "JPEGImages/480p/val-00/00000.jpg"
    assert samples[13].target == dataset.root / "Annotations/480p/val-01/00001.png"
    masks = [np.asarray(Image.open(str(sample.target))) for sample in samples[:12]]
    assert {1, 2} <= set(np.unique(masks[0])) == set(np.unique(masks[-1]))
    assert (masks[0] != masks[-1]).mean() > 0.02  # objects move
    with Image.open(str(samples[0].target)) as mask:
        assert mask.mode == "P"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "Annotations/480p/val-00/00003.png").unlink(), "is listed in .* but missing"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("../val-00\n"), "is no name of a folder"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("val-00\nval-00\n"), "comes twice"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("val-07\n"), "folder of the data set is missing"),
        (
            lambda root: [path.unlink() for path in sorted((root / "JPEGImages/480p/val-01").iterdir())[2:]],
            "2 frames, a video has 3 or more",
        ),
    ],
)
def test_what_is_wrong_is_named(root: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(root / "DAVIS")
    with pytest.raises(UMTError, match=message):
        find_dataset("davis2017", root).samples("val")
