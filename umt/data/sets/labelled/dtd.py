"""Describable Textures (Cimpoi et al. 2014) with the first of its ten official partitions, as papers report it."""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles
from umt.data.folder import subfolders_of
from umt.data.layouts import ImageLists, gathered
from umt.data.mini.layout import WrittenLayout
from umt.data.sets.labelled import labelled_mini

ARCHIVE = Archive(
    "dtd-r1.0.1.tar.gz",
    url="https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
    md5="fff73e5086ae6bdbea199a49dfb8a4c1",  # as torchvision has it
    files=12_000,
    gigabytes=1.5,
)
SPLITS = ("train", "val", "test")
LISTS = ImageLists(
    lists={split: f"labels/{split}1.txt" for split in SPLITS},
    images=dict.fromkeys(SPLITS, "images"),
    names=partial(subfolders_of, "images"),
)
INFO = DatasetInfo(
    name="dtd",
    title="DTD",
    kind="classification",
    folder="dtd",
    splits=dict.fromkeys(SPLITS, 1880),
    roles=Roles("train", "test", select="val"),
    classes=47,
    source="extract dtd-r1.0.1.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/dtd/ there",
    read=LISTS.read,
    class_names=LISTS.names,
    ends=("banded", "zigzagged"),
    parts=(gathered("dtd", ARCHIVE),),
    gigabytes=0.65,
    mini=labelled_mini(
        "dtd",
        "DTD",
        "G",
        WrittenLayout(
            "images/{name}/{name}_{stem}.jpg",
            lists={split: (file, "{name}/{name}_{stem}.jpg") for split, file in LISTS.lists.items()},
        ),
    ),
)
