"""NYUv2's labelled pairs with published normals, from the official files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress
from scipy.io import savemat

from umt.data.checks.items import validate
from umt.data.normals import read_normals
from umt.data.prepare import prepare
from umt.data.registry import find_dataset
from umt.data.sets.nyuv2 import LABELLED, SPLITS
from umt.data.sets.nyuv2_ladicky import MASKS, NORMALS
from umt.errors import UMTError


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Three pairs in the layout of the official files, in MATLAB's order of axes."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    folder = tmp_path / "downloads"
    folder.mkdir()
    contents = {
        LABELLED: {"images": rng.integers(0, 256, (3, 3, 640, 480), dtype=np.uint8)},
        NORMALS: {"norm_gt_l": rng.normal(0.3, 1, (3, 3, 640, 480))},
        MASKS: {"masks": (rng.uniform(size=(3, 640, 480)) < 0.7).astype(np.uint8)},
    }
    for archive, fields in contents.items():
        with h5py.File(folder / archive.name, "w") as file:
            file.update(fields)
    savemat(folder / SPLITS.name, {"trainNdxs": np.array([[1], [3]]), "testNdxs": np.array([[2]])})
    return folder


def test_the_official_files_become_pairs(tmp_path: Path, downloads: Path, progress: Progress) -> None:
    import h5py

    (outcome,) = prepare("nyuv2_ladicky", tmp_path / "data", downloads, progress)
    assert outcome.sizes == {"train": 2, "test": 1}
    dataset = find_dataset("nyuv2_ladicky", tmp_path / "data")
    validate(dataset)
    assert [sample.image.name for sample in dataset.samples("train")] == ["0001.png", "0003.png"]
    (sample,) = dataset.samples("test")
    with (
        h5py.File(downloads / LABELLED.name) as images,
        h5py.File(downloads / NORMALS.name) as normals,
        h5py.File(downloads / MASKS.name) as masks,
    ):
        image, vectors, mask = images["images"][1].T, normals["norm_gt_l"][1].T, masks["masks"][1].T > 0
    np.testing.assert_array_equal(np.asarray(Image.open(sample.image)), image)
    read = read_normals(Path(str(sample.target)), (480, 640))
    assert not read[~mask].any()
    expected = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    counted = mask & (np.linalg.norm(vectors, axis=-1) >= 0.5)
    np.testing.assert_allclose(read[counted], expected[counted], atol=2e-5)


def test_a_missing_file_is_named(tmp_path: Path, downloads: Path, progress: Progress) -> None:
    (downloads / MASKS.name).unlink()
    with pytest.raises(UMTError, match=r"masks\.mat"):
        prepare("nyuv2_ladicky", tmp_path / "data", downloads, progress)
    shutil.copyfile(downloads / NORMALS.name, downloads / MASKS.name)
    with pytest.raises(UMTError, match=r"masks\.mat: cannot be read as the official labelled set \('masks' is missing"):
        prepare("nyuv2_ladicky", tmp_path / "data", downloads, progress)
