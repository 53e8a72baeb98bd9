"""The writer of the embedded data: each data set whole or not at all, the same bytes every time, and only once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umt.data.contract import MARKER, read_marker
from umt.data.mini import crops, dense, digits
from umt.data.registry import dataset_info
from umt.errors import WriteError
from umt.locks import lock

MADE_BY = "umt data mini"
VERSION = 1  # raised whenever the content changes


@dataclass(frozen=True)
class MiniSize:
    """The number of items to write of each data set."""

    imagenet: int = 1797  # scanned digits, all that there are; half to train
    aircraft: tuple[int, int, int] = (10, 5, 15)  # train, val, test crops a photograph
    caltech101: int = 10  # test crops a photograph, beside the 30 to train
    cub: tuple[int, int] = (20, 20)  # train, test crops a photograph
    voc2012: tuple[int, int] = (32, 12)  # train, val rooms
    ade20k: tuple[int, int] = (64, 24)  # training, validation rooms
    nyuv2: tuple[tuple[int, int], tuple[int, int]] = ((24, 10), (8, 4))  # rooms, crops of stereo: train, test


MINI = MiniSize()


@dataclass(frozen=True)
class MiniPart:
    """An embedded data set: the data set whose layout it has, its title, and its origin."""

    dataset: str
    title: str  # short: it stands over columns of tables, and `real` and `rendered` below them
    real: str
    rendered: str
    write: Callable[[Path, Any], None]  # (folder, field of MiniSize under the data set's name)


PHOTOGRAPHS = "crops of photographs from scikit-image and scikit-learn, each photograph a class"

PARTS = (
    MiniPart(
        "imagenet",
        "digits",
        real="handwritten digits from scikit-learn, scanned at 8x8, enlarged, in ImageNet's layout",
        rendered="",
        write=digits.write_digits,
    ),
    MiniPart(
        "aircraft",
        "crops A",
        real=f"{PHOTOGRAPHS}, in Aircraft's layout",
        rendered="",
        write=crops.write_aircraft,
    ),
    MiniPart(
        "caltech101",
        "crops B",
        real=f"{PHOTOGRAPHS}, in Caltech-101's layout",
        rendered="",
        write=crops.write_caltech101,
    ),
    MiniPart(
        "cub",
        "crops C",
        real=f"{PHOTOGRAPHS}, in CUB's layout",
        rendered="",
        write=crops.write_cub,
    ),
    MiniPart(
        "voc2012",
        "rooms V",
        real="the photographs that surfaces are covered with, in VOC 2012's layout",
        rendered="images and class maps",
        write=dense.write_voc2012,
    ),
    MiniPart(
        "ade20k",
        "rooms",
        real="the photographs that surfaces are covered with, in ADE20K's layout",
        rendered="images and class maps",
        write=dense.write_ade20k,
    ),
    MiniPart(
        "nyuv2",
        "rooms and stereo",
        real="crops of the Motorcycle photograph with measured depth (Middlebury 2014), in NYUv2's layout",
        rendered="rooms and their depth",
        write=dense.write_nyuv2,
    ),
)


def write_mini(out: Path, size: MiniSize = MINI) -> None:
    """Write all embedded data sets below the data root `out`; complete ones that exist are left alone."""
    for part in PARTS:
        write_part(part, out, size)


def write_part(part: MiniPart, out: Path, size: MiniSize = MINI) -> Path:
    """Write one embedded data set and return its folder; UMTError if the folder holds other data.

    It takes its name only when complete, and one process at a time writes below `out`.
    """
    folder = out / dataset_info(part.dataset).folder
    counts = getattr(size, part.dataset)
    origin = {"title": part.title, "real": part.real, "rendered": part.rendered}
    marker = json.dumps({**origin, "made_by": MADE_BY, "version": VERSION, "counts": counts}, indent=1)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(out / ".umt-mini.lock"):
            if not _is_current(folder, marker):
                _replace(folder, part, counts, marker)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written ({error}); choose another data root") from error
    return folder


def _is_current(folder: Path, marker: str) -> bool:
    """Return whether the folder holds the data that `marker` describes; UMTError if it holds somebody else's data."""
    if not folder.exists():
        return False
    marked = read_marker(folder)
    if marked.get("made_by") != MADE_BY:
        raise WriteError(f"{folder}: holds other data, which is not overwritten; choose another data root")
    return marked == json.loads(marker)


def _replace(folder: Path, part: MiniPart, counts: Any, marker: str) -> None:
    partial = folder.parent / f".partial-{folder.name}"
    shutil.rmtree(partial, ignore_errors=True)  # left by an interrupted run
    partial.mkdir()
    part.write(partial, counts)
    (partial / MARKER).write_text(marker)
    shutil.rmtree(folder, ignore_errors=True)  # left by an older version
    partial.rename(folder)
