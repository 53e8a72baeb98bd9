"""SUN397 (Xiao et al. 2010) with the first of its ten official partitions: 50 images of each scene train, 50 test."""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles
from umt.data.layouts import ImageLists, gathered, listed_names
from umt.data.mini.layout import WrittenLayout
from umt.data.sets.labelled import labelled_mini

IMAGES = Archive(
    "SUN397.tar.gz",
    url="http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz",
    md5="8ca2778205c41d23104230ba66911c7a",  # as torchvision has it
    files=220_000,
    gigabytes=80,
)
PARTITIONS = Archive(
    "Partitions.zip",
    url="https://vision.princeton.edu/projects/2010/SUN/download/Partitions.zip",
    md5="29a205c0a0129d21f36cbecfefe81881",  # as scikit-data has it
    files=50,
    gigabytes=0.1,
)


def spoken(name: str) -> str:
    """Remove the letter of a scene: 'a/apartment_building/outdoor' -> 'apartment building outdoor'."""
    return name.partition("/")[2].replace("/", " ").replace("_", " ")


LISTS = ImageLists(
    lists={"train": "Training_01.txt", "test": "Testing_01.txt"},
    images={"train": "", "test": ""},
    names=partial(listed_names, "ClassName.txt", 1),
)
INFO = DatasetInfo(
    name="sun397",
    title="SUN397",
    kind="classification",
    folder="SUN397",
    splits={"train": 19_850, "test": 19_850},
    roles=Roles("train", "test"),
    classes=397,
    source="extract SUN397.tar.gz and Partitions.zip from https://vision.princeton.edu/projects/2010/SUN/ there",
    read=LISTS.read,
    class_names=LISTS.names,
    ends=("a/abbey", "y/youth_hostel"),
    spoken=spoken,
    parts=(gathered("SUN397", IMAGES, PARTITIONS),),
    gigabytes=39,
    mini=labelled_mini(
        "sun397",
        "SUN397",
        "O",
        WrittenLayout(
            "{name}/sun_{stem}.jpg",
            lists={split: (file, "/{name}/sun_{stem}.jpg") for split, file in LISTS.lists.items()},
            names=("ClassName.txt", "/{name}"),
            class_name="{name[0]}/{name}",
        ),
    ),
)
