"""NYU Depth v2 (Silberman et al. 2012) in MMSegmentation's layout: RGB, and depth as 16-bit PNG in millimetres.

It is made from the official labelled .mat, or from the archive of 24,231 + 654 pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from PIL import Image
from rich.progress import Progress

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, MiniVersion, Roles
from umt.data.prepare.extract import ArchiveLimits, extract
from umt.data.reading import annotated_samples, read_table
from umt.errors import PackageError, SourceError, first_line

LABELLED = Archive(
    "nyu_depth_v2_labeled.mat",
    url="http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat",
    md5="520609c519fba3ba5ac58c8fefcc3530",  # as several public loaders check it
)
SPLITS = Archive(
    "splits.mat",
    url="http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat",
    md5="08e3c3aea27130ac7c01ffd739a4535f",  # as one public loader checks it
)
PAIRS = Archive(
    "nyu.zip",
    get="MMSegmentation's dataset guide (prepare NYU) links it",
    files=120_000,
    gigabytes=30,
)
LABELLED_PAIRS = 1449
FRAME = (slice(7, 474), slice(7, 632))  # in 480x640; outside is the white frame that registering the Kinect left
Field: TypeAlias = tuple[tuple[int, ...], type[np.generic]]  # shape and type of an item
Fields: TypeAlias = Mapping[str, Field]
IMAGES: Field = ((3, 640, 480), np.uint8)
FIELDS: Fields = {"images": IMAGES, "rawDepths": ((640, 480), np.floating)}
Item = TypeVar("Item")
SPLIT_FIELDS = {"train": "trainNdxs", "test": "testNdxs"}
# Seeds of rendered rooms: far apart, and from those of other sets, so that no room is in two splits or sets.
MINI_SEEDS = {"train": 20_000, "test": 30_000}
MINI_SIZE = (640, 480)  # size of Kinect images, for which the usual evaluation crop is cut


def build_labelled(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build 795 + 654 pairs under their official number, as BTS converts the .mat (Lee et al. 2019, its script).

    Depth is the raw one, 0 if nothing was measured, not the in-painted one; the white frame is blackened. Images are
    stored as PNG, without loss.
    """
    make_folders(out)
    pairs = labelled_items(files[LABELLED], FIELDS)
    tracked = progress.track(pairs, total=LABELLED_PAIRS, description=f"convert {LABELLED.name}")
    for name, (image, depth) in split_items(files[SPLITS], files[LABELLED], tracked):
        Image.fromarray(_framed(image)).save(out / "images" / name)
        Image.fromarray(_millimetres(depth)).save(out / "annotations" / name)


def split_items(splits: Path, source: Path, items: Iterable[Item]) -> Iterator[tuple[str, Item]]:
    """Yield `SPLIT/NUMBER.png` and each item of a source; UMTError if the official splits do not fit them."""
    of_split, number = read_splits(splits), 0
    for number, item in enumerate(items, start=1):
        if number not in of_split:
            raise SourceError(f"{splits}: pair {number} of {source.name} is in no split; get both files again")
        yield f"{of_split[number]}/{number:04d}.png", item
    if number != len(of_split):
        raise SourceError(f"{source}: {number} pairs, {splits.name} splits {len(of_split)}; get both files again")


def build_pairs(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build 24,231 + 654 pairs: `scene/rgb_N.jpg` becomes `scene_N.jpg`, as MMSegmentation's converter names them."""
    extract(files[PAIRS], scratch, ArchiveLimits.of(PAIRS), progress)
    make_folders(out)
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


def labelled_items(path: Path, fields: Fields) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the values of these fields for each labelled pair, in MATLAB's order of axes: channels x W x H."""
    try:
        import h5py
    except ImportError as error:
        raise PackageError(f"{path}: needs h5py to be read; pip install 'umt-bench[nyuv2]'") from error
    try:
        with h5py.File(path, "r") as file:
            yield from zip(*(_own_dataset(file, name, field) for name, field in fields.items()), strict=True)
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(
            f"{path}: cannot be read as the official labelled set ({first_line(error)}); get it again"
        ) from error


def _own_dataset(file: Any, name: str, field: Field) -> Any:
    """Return a data set of an HDF5 file; ValueError if its values come from another file, or have another form."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"'{name}' is missing, a link or a group, not a data set")
    dataset, (shape, kind) = file[name], field
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


def make_folders(out: Path) -> None:
    for split in SPLIT_FIELDS:
        (out / "images" / split).mkdir(parents=True)
        (out / "annotations" / split).mkdir(parents=True)


def _fields(row: str) -> tuple[str, str]:
    """Return image and depth of a line; the focal length behind them is not needed."""
    image, _, rest = row.partition(" ")
    if not rest.split():
        raise SourceError(f"{PAIRS.name}: line '{row}' names an image without depth; get the archive again")
    return image, rest.split()[0]


def _move(folder: Path, name: str, infix: str, target: Path) -> None:
    relative = name.strip("/")
    source = folder / relative
    if ".." in source.parts or not source.is_file():
        raise SourceError(f"{PAIRS.name}: {name} is listed but missing; get the archive again")
    source.rename(target / relative.replace(infix, "").replace("/", "_"))


def write_mini(folder: Path, counts: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Write (train, test) rooms, and (train, test) crops of the stereo photograph."""
    from umt.data.mini.dense import pair_folders, save_depth, save_rgb
    from umt.data.mini.rendered.rooms import render_room
    from umt.data.mini.stereo import crops  # slow to import

    for split, room_count, photo_count in zip(MINI_SEEDS, *counts, strict=True):
        images, annotations = pair_folders(folder, split)
        for index in range(room_count):
            view = render_room(MINI_SEEDS[split] + index, *MINI_SIZE)
            save_rgb(view.rgb, images / f"room_{index:04d}.jpg")
            save_depth(view.depth, annotations / f"room_{index:04d}.png")
        for index, (rgb, depth) in enumerate(crops(split, photo_count, MINI_SIZE)):
            save_rgb(rgb, images / f"motorcycle_{index:04d}.jpg")
            save_depth(depth, annotations / f"motorcycle_{index:04d}.png")


INFO = DatasetInfo(
    name="nyuv2",
    title="NYUv2",
    kind="depth",
    folder="nyu",
    splits={"train": 24_231, "test": 654},
    roles=Roles("train", "test"),
    classes=None,
    depth_range=(0.5, 10.0),  # that of the Kinect; other units are at least five times larger, or ten times smaller
    source="run `umt data prepare nyuv2` on nyu.zip of MMSegmentation's dataset guide, or on the labelled .mat of "
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html and its splits.mat",
    read=annotated_samples,  # values of an annotation are millimetres, 0 if nothing was measured
    subsets={"NYUv2, labelled pairs only (795 to train)": {"train": 795, "test": 654}},
    parts=(
        Part("nyu", (PAIRS,), build_pairs),
        Part("nyu", (LABELLED, SPLITS), build_labelled),
    ),
    gigabytes=5.0,  # estimated: BTS's archive of 36,253 pairs, from which these are taken, has "around 5GB"
    mini=MiniVersion(
        "rooms and stereo",
        ((24, 10), (8, 4)),  # rooms, crops of stereo: train, test
        write_mini,
        real="crops of the Motorcycle photograph with measured depth (Middlebury 2014), in NYUv2's layout",
        rendered="rooms and their depth",
    ),
)
