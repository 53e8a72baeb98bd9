"""ImageNet's archives: a tar of a tar for each class, and a flat tar of validation images with their classes apart."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import Progress

from umt.data.prepare.extract import Budget, Entry, entries, extract, tar_entries, write_entries
from umt.data.prepare.sources import sources
from umt.data.reading import read_table
from umt.errors import SourceError, first_line
from umt.text import brief

TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"
META = "data/meta.mat"
WNID = re.compile(r"n\d{1,8}")


def build_train(files: Mapping[str, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build a folder for each class from the tar of that class; the inner tars are never written."""
    budget = Budget(files[TRAIN], sources()[TRAIN].limits)
    with entries(files[TRAIN], progress) as found:
        for entry in found:
            _write_class(entry, out, budget)


def build_val(files: Mapping[str, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build a folder for each class; the n-th image in order of name has the n-th class of the devkit."""
    flat, devkit = scratch / "flat", scratch / "devkit"
    extract(files[DEVKIT], devkit, sources()[DEVKIT].limits, progress)
    wnids = read_truth(devkit / "ILSVRC2012_devkit_t12")
    extract(files[VAL], flat, sources()[VAL].limits, progress)
    images = sorted(flat.iterdir())
    if len(images) != len(wnids):
        raise SourceError(
            f"{files[VAL]}: {len(images):,} images, {DEVKIT} has the classes of {len(wnids):,}; get both archives again"
        )
    for image, wnid in zip(images, wnids, strict=True):
        (out / wnid).mkdir(exist_ok=True)
        image.rename(out / wnid / image.name)


def read_truth(devkit: Path) -> list[str]:
    """Return the WordNet id of each validation image, in order of the images' names.

    The ground truth numbers the classes as `meta.mat` does, which is another order than that of the WordNet ids.
    """
    numbers = [number for (number,) in read_table(devkit / TRUTH, 1)]
    wnids = _read_synsets(devkit / META)
    for line, number in enumerate(numbers, start=1):
        if number not in wnids:
            raise SourceError(
                f"{DEVKIT}: {TRUTH} line {line} is '{number}', no class of meta.mat; get the devkit again"
            )
    return [wnids[number] for number in numbers]


def _read_synsets(path: Path) -> dict[str, str]:
    """Return the WordNet ids of the 1000 classes by number, without the tree's inner nodes, which have children."""
    from scipy.io import loadmat  # slow to import

    try:
        synsets: Any = loadmat(path, squeeze_me=True)["synsets"]
        leaves = synsets[synsets["num_children"] == 0]
        wnids = {
            str(int(number)): str(wnid) for number, wnid in zip(leaves["ILSVRC2012_ID"], leaves["WNID"], strict=True)
        }
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise SourceError(f"{DEVKIT}: {META} cannot be read ({first_line(error)}); get the devkit again") from error
    for wnid in wnids.values():  # it becomes the name of a folder
        if not WNID.fullmatch(wnid):
            raise SourceError(f"{DEVKIT}: {META} names a class {brief(wnid)}, expected n01440764; get the devkit again")
    return wnids


def _write_class(entry: Entry, out: Path, budget: Budget) -> None:
    wnid, dot, suffix = entry.name.removeprefix("./").partition(".")
    if entry.special or suffix != "tar" or not dot or not wnid.isalnum():
        raise budget.refusal(entry.name, "no tar of a class")
    budget.count(entry.name)
    (out / wnid).mkdir()
    try:
        with entry.open() as inner:
            write_entries(tar_entries(inner), out / wnid, budget)
    except tarfile.TarError as error:
        raise budget.refusal(entry.name, f"no readable tar ({first_line(error)})") from error
