"""NYUv2 from the labelled .mat and from the archive of pairs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress
from scipy.io import savemat

from umt.data.prepare import prepare
from umt.data.registry import find_dataset
from umt.data.sets.nyuv2 import LABELLED, PAIRS, SPLITS, read_splits
from umt.errors import UMTError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 3, 640, 480), dtype=np.uint8)  # pairs x channels x width x height, MATLAB's order
DEPTHS = RNG.uniform(0.7, 10, (3, 640, 480)).astype(np.float32)
DEPTHS[:, :5] = 0  # not measured


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    folder = tmp_path / "downloads"
    folder.mkdir()
    with h5py.File(folder / LABELLED.name, "w") as file:
        file["images"], file["rawDepths"], file["depths"] = IMAGES, DEPTHS, np.ones_like(DEPTHS)
    savemat(folder / SPLITS.name, {"trainNdxs": np.array([[1], [3]]), "testNdxs": np.array([[2]])})
    return folder


def test_labelled(tmp_path: Path, labelled: Path, progress: Progress) -> None:
    (outcome,) = prepare("nyuv2", tmp_path / "data", labelled / LABELLED.name, progress)
    assert outcome.sizes == {"train": 2, "test": 1}
    dataset = find_dataset("nyuv2", tmp_path / "data")
    assert [sample.image.name for sample in dataset.samples("train")] == ["0001.png", "0003.png"]
    (sample,) = dataset.samples("test")
    image, depth = np.asarray(Image.open(sample.image)), np.asarray(Image.open(Path(str(sample.target))))
    expected = IMAGES[1].transpose(2, 1, 0)
    assert np.array_equal(image[7:474, 7:632], expected[7:474, 7:632])
    for outside in (image[:7], image[474:], image[:, :7], image[:, 632:]):
        assert not outside.any()
    assert depth.dtype == np.uint16
    assert np.abs(depth / 1000 - DEPTHS[1].transpose(1, 0)).max() <= 0.0005 + 1e-6
    assert not depth[:, :5].any()


def test_splits_that_do_not_fit_are_named(tmp_path: Path, labelled: Path, progress: Progress) -> None:
    for numbers, reason in (([1], "pair 3 of .* is in no split"), ([1, 3, 4], "3 pairs, splits.mat splits 4")):
        savemat(labelled / SPLITS.name, {"trainNdxs": np.array(numbers), "testNdxs": np.array([2])})
        with pytest.raises(UMTError, match=reason):
            prepare("nyuv2", tmp_path / "data", labelled, progress)
    assert not (tmp_path / "data" / "nyu").exists()


@pytest.mark.parametrize("file", [LABELLED.name, SPLITS.name])
def test_a_damaged_mat_is_named(tmp_path: Path, labelled: Path, progress: Progress, file: str) -> None:
    (labelled / file).write_bytes(b"not a mat file" * 100)
    with pytest.raises(UMTError, match=rf"{file}: cannot be read as the official .*; get it again"):
        prepare("nyuv2", tmp_path / "data", labelled, progress)


def test_without_h5py_the_extra_is_named(
    tmp_path: Path, labelled: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UMTError, match=r"needs h5py to be read; pip install 'umt-bench\[nyuv2\]'"):
        prepare("nyuv2", tmp_path / "data", labelled, progress)


def linked(file: Any, secret: Path, h5py: Any) -> None:
    file["images"] = h5py.ExternalLink(secret, "images")


def linked_inside(file: Any, secret: Path, h5py: Any) -> None:
    file["images"] = h5py.SoftLink("depths")


def stored_outside(file: Any, secret: Path, h5py: Any) -> None:
    file.create_dataset("images", IMAGES.shape, np.uint8, external=[(str(secret), 0, IMAGES.size)])


def virtual(file: Any, secret: Path, h5py: Any) -> None:
    layout = h5py.VirtualLayout(IMAGES.shape, np.uint8)
    layout[:] = h5py.VirtualSource(str(secret), "images", IMAGES.shape)
    file.create_virtual_dataset("images", layout)


def group(file: Any, secret: Path, h5py: Any) -> None:
    file.create_group("images")


def nothing(file: Any, secret: Path, h5py: Any) -> None:
    pass


def huge(file: Any, secret: Path, h5py: Any) -> None:
    """A few bytes, of which one item is a terabyte."""
    file.create_dataset("images", (3, 3, 640_000, 480_000), np.uint8, chunks=(1, 1, 64, 64))


def texts(file: Any, secret: Path, h5py: Any) -> None:
    file.create_dataset("images", IMAGES.shape, h5py.string_dtype())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (linked, "'images' is missing, a link or a group"),
        (linked_inside, "'images' is missing, a link or a group"),
        (group, "'images' is missing, a link or a group"),
        (nothing, "'images' is missing, a link or a group"),
        (stored_outside, "'images' takes its values from another file"),
        (virtual, "'images' takes its values from another file"),
        (huge, "'images' has items of shape (3, 640000, 480000) and type uint8"),
        (texts, "'images' has items of shape (3, 640, 480) and type object"),
    ],
)
def test_a_mat_cannot_read_other_files(
    tmp_path: Path, labelled: Path, progress: Progress, write: Callable[[Any, Path, Any], None], message: str
) -> None:
    """The content of the secret file would become an image of the set."""
    h5py = pytest.importorskip("h5py")
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["images"] = IMAGES
    with h5py.File(labelled / LABELLED.name, "a") as file:
        del file["images"]
        write(file, secret, h5py)
    with pytest.raises(UMTError, match=r"cannot be read as the official labelled set .*; get it again") as caught:
        prepare("nyuv2", tmp_path / "data", labelled, progress)
    assert message in str(caught.value)
    assert not (tmp_path / "data" / "nyu").exists()


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "png")
    return out.getvalue()


def pairs(picture: bytes) -> dict[str, bytes]:
    depth = png(np.full((8, 12), 1500, dtype=np.uint16))
    scenes = {"train": "basement_0001a", "test": "bathroom"}
    files = {f"nyu/{scene}/rgb_00045.jpg": picture for scene in scenes.values()}
    files |= {f"nyu/{scene}/sync_depth_00045.png": depth for scene in scenes.values()}
    for split, scene in scenes.items():
        lead = "/" if split == "train" else ""  # as the official lists have it
        line = f"{lead}{scene}/rgb_00045.jpg {lead}{scene}/sync_depth_00045.png 518.8579\n"
        files[f"nyu/nyu_{split}.txt"] = line.encode()
    return files


def test_pairs(tmp_path: Path, make_zip: Callable[..., Path], picture: bytes, progress: Progress) -> None:
    archive = make_zip(tmp_path / PAIRS.name, pairs(picture))
    assert prepare("nyuv2", tmp_path, archive, progress)[0].sizes == {"train": 1, "test": 1}
    dataset = find_dataset("nyuv2", tmp_path)
    names = {split: [sample.image.name for sample in dataset.samples(split)] for split in ("train", "test")}
    assert names == {"train": ["basement_0001a_00045.jpg"], "test": ["bathroom_00045.jpg"]}


@pytest.mark.parametrize(
    "line", ["../../x/rgb_1.jpg ../x/sync_depth_1.png 5", "gone/rgb_1.jpg gone/sync_depth_1.png 5"]
)
def test_a_list_cannot_name_files_elsewhere(
    tmp_path: Path, make_zip: Callable[..., Path], picture: bytes, progress: Progress, line: str
) -> None:
    archive = make_zip(tmp_path / PAIRS.name, pairs(picture) | {"nyu/nyu_test.txt": line.encode()})
    with pytest.raises(UMTError, match="is listed but missing; get the archive again"):
        prepare("nyuv2", tmp_path / "data", archive, progress)


def test_a_line_without_depth_is_named(
    tmp_path: Path, make_zip: Callable[..., Path], picture: bytes, progress: Progress
) -> None:
    archive = make_zip(tmp_path / PAIRS.name, pairs(picture) | {"nyu/nyu_test.txt": b"bathroom/rgb_00045.jpg\n"})
    with pytest.raises(UMTError, match=r"line 'bathroom/rgb_00045\.jpg' names an image without depth"):
        prepare("nyuv2", tmp_path / "data", archive, progress)


def test_the_split_of_the_genuine_pairs(real_data: Path, tmp_path: Path) -> None:
    """The lists of the official split beside the genuine pairs, through the reader of splits.mat."""
    folder = real_data / "nyuv2_mini"
    ids = {split: np.loadtxt(folder / f"official_{split}_ids.txt", dtype=int) for split in ("train", "test")}
    savemat(tmp_path / SPLITS.name, {"trainNdxs": ids["train"][:, None], "testNdxs": ids["test"][:, None]})
    of_split = read_splits(tmp_path / SPLITS.name)
    assert (len(of_split), len(ids["train"]), len(ids["test"])) == (1449, 795, 654)
    for split in ("train", "test"):
        assert all(of_split[int(path.stem)] == split for path in (folder / "images" / split).iterdir())
