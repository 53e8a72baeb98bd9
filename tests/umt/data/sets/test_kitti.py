"""The KITTI layout of the Eigen split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umt.data.checks.items import validate
from umt.data.registry import find_dataset
from umt.data.sets import kitti
from umt.errors import DataError, UMTError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kitti, "MINI_SIZE", (80, 24))
    kitti.write_mini(tmp_path / "kitti", (2, 1))
    return tmp_path


def test_images_have_their_depth(root: Path) -> None:
    dataset = find_dataset("kitti", root)
    validate(dataset)
    assert dataset.sizes == {"train": 2, "test": 1}
    sample = dataset.samples("test")[0]
    drive = "2011_09_26_drive_1000_sync"
    assert sample.image == dataset.root / f"input/2011_09_26/{drive}/image_02/data/0000000000.png"
    assert sample.target == dataset.root / f"gt_depth/{drive}/proj_depth/groundtruth/image_02/0000000000.png"
    depth = np.asarray(Image.open(str(sample.target))) / 256
    assert 0.15 < (depth > 0).mean() < 0.25
    assert 0.3 < depth[depth > 0].min() < depth.max() < 10


def test_images_without_depth_are_left_out_and_the_rest_sorted(root: Path) -> None:
    """As the toolbox does with the 45 of 697 test images whose depth was not published."""
    path = root / "kitti/kitti_eigen_train.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["2011_09_26/x_sync/image_02/data/1.png None 721.5377", *reversed(lines)]))
    samples = find_dataset("kitti", root).samples("train")
    assert [sample.image.parts[-4] for sample in samples] == [f"2011_09_26_drive_000{n}_sync" for n in (0, 1)]


def test_what_is_wrong_is_named(root: Path) -> None:
    dataset = find_dataset("kitti", root)
    depth = Path(str(dataset.samples("test")[0].target))
    values = np.asarray(Image.open(depth)).astype(np.uint16)
    Image.fromarray(np.minimum(values.astype(int) * 100, 65535).astype(np.uint16)).save(depth)
    with pytest.raises(DataError, match=r"m if its values are 1/256 m, expected 1 to 80 m"):
        validate(find_dataset("kitti", root))
    depth.unlink()
    with pytest.raises(UMTError, match=r"is listed in .*kitti_eigen_test\.txt but missing"):
        find_dataset("kitti", root).samples("test")
