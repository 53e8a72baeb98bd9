"""iNaturalist 2018 (Van Horn et al. 2018): 8,142 species, with the validation images as the reported ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles, Sample
from umt.data.layouts import gathered
from umt.data.mini.layout import Crop, WrittenLayout
from umt.data.reading import listed_samples
from umt.data.sets.labelled import labelled_mini
from umt.errors import LayoutError, first_line
from umt.files import read_plain

MAX_BYTES = 1 << 29  # bytes of a list; that of the training images has about 120 million
ADDRESS = "https://ml-inat-competition-datasets.s3.amazonaws.com/2018"
ARCHIVES = (  # MD5 as the page of the competition has them
    Archive(
        "train_val2018.tar.gz",
        url=f"{ADDRESS}/train_val2018.tar.gz",
        md5="b1c6952ce38f31868cc50ea72d066cc3",
        files=960_000,
        gigabytes=250,
    ),
    Archive(
        "train2018.json.tar.gz",
        url=f"{ADDRESS}/train2018.json.tar.gz",
        md5="bfa29d89d629cbf04d826a720c0a68b0",
        files=2,
        gigabytes=0.5,
    ),
    Archive(
        "val2018.json.tar.gz",
        url=f"{ADDRESS}/val2018.json.tar.gz",
        md5="f2ed8bfe3e9901cdefceb4e53cd3775d",
        files=2,
        gigabytes=0.5,
    ),
)


WRITTEN_IMAGE = "train_val2018/Photographs/{label}/{stem}.jpg"  # of the embedded version


def class_names(root: Path) -> list[str]:
    """Return the numbers of the species, which are the names of their folders: "0" to "8141"."""
    return [str(number) for number in range(len(_list(root / "val2018.json", "categories")))]


def read(root: Path, split: str) -> list[Sample]:
    """List the images of a split in the order of its list."""
    path = root / f"{split}2018.json"
    species = {row["image_id"]: row["category_id"] for row in _list(path, "annotations")}
    entries = [(row["file_name"], species.get(row["id"], -1)) for row in _list(path, "images")]
    return listed_samples(root, entries, path)


def _list(path: Path, field: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads(read_plain(path, links=True, max_bytes=MAX_BYTES))[field]
        known = {"categories": "id", "annotations": "category_id", "images": "file_name"}[field]
        refused = next((row for row in rows if known not in row), None)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LayoutError(
            f"{path}: cannot be read ({first_line(error)}); extract the official archive again"
        ) from error
    if refused is not None:
        raise LayoutError(f"{path}: an entry of '{field}' has no '{known}'; extract the official archive again")
    return rows


def write_records(folder: Path, crops: Sequence[Crop]) -> None:
    """Write the records of crops, as they are in the embedded version."""
    labels = sorted({crop.label for crop in crops})
    for split in ("train", "val"):
        of_split = [crop for crop in crops if crop.split == split]
        record = {
            "categories": [{"id": label} for label in labels],
            "annotations": [{"image_id": crop.index, "category_id": crop.label} for crop in of_split],
            "images": [{"id": crop.index, "file_name": crop.fill(WRITTEN_IMAGE)} for crop in of_split],
        }
        (folder / f"{split}2018.json").write_text(json.dumps(record))


INFO = DatasetInfo(
    name="inat2018",
    title="iNaturalist 2018",
    kind="classification",
    folder="inat2018",
    splits={"train": 437_513, "val": 24_426},
    roles=Roles("train", "val"),  # the labels of the official test set are not public
    classes=8142,
    source="extract train_val2018.tar.gz, train2018.json.tar.gz and val2018.json.tar.gz "
    "from https://github.com/visipedia/inat_comp/tree/master/2018 there",
    read=read,
    class_names=class_names,
    ends=("0", "8141"),
    parts=(gathered("inat2018", *ARCHIVES),),
    gigabytes=125,
    mini=labelled_mini(
        "inat2018",
        "iNaturalist 2018",
        "K",
        WrittenLayout(WRITTEN_IMAGE, finish=write_records),
    ),
)
