"""Stanford Cars (Krause et al. 2013), whose labels are in MATLAB files and are numbered from 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles, Sample
from umt.data.layouts import gathered, matlab
from umt.data.mini.layout import Crop, WrittenLayout
from umt.data.reading import listed_samples
from umt.data.sets.labelled import labelled_mini

GET = "its first address is gone; get it from a copy of https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
ARCHIVES = (
    Archive("cars_train.tgz", get=GET, files=17_000, gigabytes=2),
    Archive("cars_test.tgz", get=GET, files=17_000, gigabytes=2),
    Archive("car_devkit.tgz", get=GET, files=20, gigabytes=0.1),
    Archive("cars_test_annos_withlabels.mat", get=GET),
)
ANNOTATIONS = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}


def class_names(root: Path) -> list[str]:
    """Return the makes and models in the order of their numbers."""
    return [str(name) for name in matlab(root / "devkit" / "cars_meta.mat", "class_names").reshape(-1)]


def read(root: Path, split: str) -> list[Sample]:
    """List the images of a split in the order of its annotations."""
    path = root / ANNOTATIONS[split]
    rows = matlab(path, "annotations").reshape(-1)
    return listed_samples(root / f"cars_{split}", [(str(row["fname"]), int(row["class"]) - 1) for row in rows], path)


def write_annotations(folder: Path, crops: Sequence[Crop]) -> None:
    """Write the annotations of crops, as they are in the embedded version."""
    from umt.data.mini.labelled import CLASSES, save_matlab  # slow to import

    (folder / "devkit").mkdir()
    save_matlab(folder / "devkit" / "cars_meta.mat", {"class_names": np.array(CLASSES, dtype=object)})
    for split, file in ANNOTATIONS.items():
        rows = [(crop.label + 1, f"{crop.index:05d}.jpg") for crop in crops if crop.split == split]
        save_matlab(folder / file, {"annotations": np.array(rows, dtype=[("class", object), ("fname", object)])})


INFO = DatasetInfo(
    name="cars",
    title="Stanford Cars",
    kind="classification",
    folder="stanford_cars",
    splits={"train": 8144, "test": 8041},
    roles=Roles("train", "test"),
    classes=196,
    source="put cars_train, cars_test, devkit and cars_test_annos_withlabels.mat there, from a copy of "
    "https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    read=read,
    class_names=class_names,
    ends=("AM General Hummer SUV 2000", "smart fortwo Convertible 2012"),
    parts=(gathered("stanford_cars", *ARCHIVES),),
    gigabytes=2,
    mini=labelled_mini(
        "cars",
        "Stanford Cars",
        "D",
        WrittenLayout("cars_{split}/{stem}.jpg", finish=write_annotations),
    ),
)
