"""The parts of each data set: folders that appear whole, the files that each needs, and its builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.progress import Progress

from umt.data.prepare import archives, imagenet, nyuv2


@dataclass(frozen=True)
class Part:
    """A folder below the data root, the official files it is made of, and its builder."""

    target: str  # "imagenet/val"
    files: tuple[str, ...]
    # (file by official name, empty folder to fill, folder for files to discard, progress)
    build: Callable[[Mapping[str, Path], Path, Path, Progress], None]


def _folder(target: str, archive: str) -> Part:
    return Part(target, (archive,), partial(archives.build_folder, folder=target.rpartition("/")[2]))


# Parts with the same target are ways to the same folder: the first whose files are there is taken.
PARTS: dict[str, tuple[Part, ...]] = {
    "imagenet": (
        Part("imagenet/train", (imagenet.TRAIN,), imagenet.build_train),
        Part("imagenet/val", (imagenet.VAL, imagenet.DEVKIT), imagenet.build_val),
    ),
    "aircraft": (_folder("fgvc-aircraft-2013b", "fgvc-aircraft-2013b.tar.gz"),),
    "caltech101": (
        Part("caltech101/101_ObjectCategories", ("caltech-101.zip",), archives.build_caltech101),
        _folder("caltech101/101_ObjectCategories", "101_ObjectCategories.tar.gz"),
    ),
    "cub": (_folder("CUB_200_2011", "CUB_200_2011.tgz"),),
    "ade20k": (_folder("ADEChallengeData2016", "ADEChallengeData2016.zip"),),
    "nyuv2": (
        Part("nyu", (nyuv2.PAIRS,), nyuv2.build_pairs),
        Part("nyu", (nyuv2.LABELLED, nyuv2.SPLITS), nyuv2.build_labelled),
    ),
}
