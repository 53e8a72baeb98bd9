"""NYUv2 in MMSegmentation's layout: from the official labelled .mat, or from the archive of 24,231 + 654 pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import Progress

from umt.data.prepare.extract import extract
from umt.data.prepare.sources import sources
from umt.data.reading import read_table
from umt.errors import PackageError, SourceError, first_line

LABELLED = "nyu_depth_v2_labeled.mat"
SPLITS = "splits.mat"
PAIRS = "nyu.zip"
FRAME = (slice(7, 474), slice(7, 632))  # in 480x640; outside is the white frame that registering the Kinect left
FIELDS = {"images": ((3, 640, 480), np.uint8), "rawDepths": ((640, 480), np.floating)}  # shape and type of an item
SPLIT_FIELDS = {"train": "trainNdxs", "test": "testNdxs"}


def build_labelled(files: Mapping[str, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build 795 + 654 pairs under their official number, as BTS converts the .mat (Lee et al. 2019, its script).

    Depth is the raw one, 0 if nothing was measured, not the in-painted one; the white frame is blackened. Images are
    stored as PNG, without loss.
    """
    of_split = read_splits(files[SPLITS])
    _make_folders(out)
    done = 0
    pairs = progress.track(labelled_pairs(files[LABELLED]), total=len(of_split), description=f"convert {LABELLED}")
    for done, (image, depth) in enumerate(pairs, start=1):
        if done not in of_split:
            raise SourceError(f"{files[SPLITS]}: pair {done} of {LABELLED} is in no split; get both files again")
        name = f"{of_split[done]}/{done:04d}.png"
        Image.fromarray(_framed(image)).save(out / "images" / name)
        Image.fromarray(_millimetres(depth)).save(out / "annotations" / name)
    if done != len(of_split):
        raise SourceError(f"{files[LABELLED]}: {done} pairs, {SPLITS} splits {len(of_split)}; get both files again")


def build_pairs(files: Mapping[str, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build 24,231 + 654 pairs: `scene/rgb_N.jpg` becomes `scene_N.jpg`, as MMSegmentation's converter names them."""
    extract(files[PAIRS], scratch, sources()[PAIRS].limits, progress)
    _make_folders(out)
    for split in SPLIT_FIELDS:
        for (row,) in read_table(scratch / "nyu" / f"nyu_{split}.txt", 1):
            image, depth = _fields(row)
            _move(scratch / "nyu", image, "/rgb", out / "images" / split)
            _move(scratch / "nyu", depth, "/sync_depth", out / "annotations" / split)


def read_splits(path: Path) -> dict[int, str]:
    """Read the split of each pair by its official number, from 1; UMTError if the file is no list of splits."""
    from scipy.io import loadmat  # slow to import

    try:
        record = loadmat(path)
        return {int(number): split for split, field in SPLIT_FIELDS.items() for number in record[field].ravel()}
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise SourceError(
            f"{path}: cannot be read as the official splits ({first_line(error)}); get it again"
        ) from error


def labelled_pairs(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (image 3 x W x H of uint8, raw depth W x H in metres) of each pair, in MATLAB's order of axes."""
    try:
        import h5py
    except ImportError as error:
        raise PackageError(f"{path}: needs h5py to be read; pip install 'umt-bench[nyuv2]'") from error
    try:
        with h5py.File(path, "r") as file:
            yield from zip(*(_own_dataset(file, name) for name in FIELDS), strict=True)
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(
            f"{path}: cannot be read as the official labelled set ({first_line(error)}); get it again"
        ) from error


def _own_dataset(file: Any, name: str) -> Any:
    """Return a data set of an HDF5 file; ValueError if its values come from another file, or have another form."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"'{name}' is missing, a link or a group, not a data set")
    dataset, (shape, kind) = file[name], FIELDS[name]
    if dataset.external is not None or dataset.is_virtual:
        raise ValueError(f"'{name}' takes its values from another file")
    if dataset.shape[1:] != shape or not np.issubdtype(dataset.dtype, kind):
        raise ValueError(f"'{name}' has items of shape {dataset.shape[1:]} and type {dataset.dtype}")
    return dataset


def _framed(image: np.ndarray) -> np.ndarray:
    """Return height x width x 3 from MATLAB's order, black outside the frame."""
    pixels, framed = image.T, np.zeros_like(image.T)
    framed[FRAME] = pixels[FRAME]
    return np.ascontiguousarray(framed)


def _millimetres(depth: np.ndarray) -> np.ndarray:
    """Return height x width of uint16 from metres in MATLAB's order."""
    return np.ascontiguousarray(np.rint(np.nan_to_num(depth.T) * 1000).clip(0, 65_535).astype(np.uint16))


def _make_folders(out: Path) -> None:
    for split in SPLIT_FIELDS:
        (out / "images" / split).mkdir(parents=True)
        (out / "annotations" / split).mkdir(parents=True)


def _fields(row: str) -> tuple[str, str]:
    """Return image and depth of a line; the focal length behind them is not needed."""
    image, _, rest = row.partition(" ")
    if not rest.split():
        raise SourceError(f"{PAIRS}: line '{row}' names an image without depth; get the archive again")
    return image, rest.split()[0]


def _move(folder: Path, name: str, infix: str, target: Path) -> None:
    relative = name.strip("/")
    source = folder / relative
    if ".." in source.parts or not source.is_file():
        raise SourceError(f"{PAIRS}: {name} is listed and not there; get the archive again")
    source.rename(target / relative.replace(infix, "").replace("/", "_"))
