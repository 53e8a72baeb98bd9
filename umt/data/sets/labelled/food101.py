"""Food-101 (Bossard et al. 2014): 1,000 photographs of each dish, of which 250 were reviewed by hand and test."""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles
from umt.data.layouts import ImageLists, gathered, listed_names
from umt.data.mini.layout import WrittenLayout
from umt.data.sets.labelled import labelled_mini

ARCHIVE = Archive(
    "food-101.tar.gz",
    url="http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
    md5="85eeb15f3717b99a5da872d97d918f87",  # as torchvision has it
    files=210_000,
    gigabytes=11,
)
LISTS = ImageLists(
    lists={"train": "meta/train.txt", "test": "meta/test.txt"},
    images={"train": "images", "test": "images"},
    names=partial(listed_names, "meta/classes.txt", 1),
    suffix=".jpg",
)
INFO = DatasetInfo(
    name="food101",
    title="Food-101",
    kind="classification",
    folder="food-101",
    splits={"train": 75_750, "test": 25_250},
    roles=Roles("train", "test"),
    classes=101,
    source="extract food-101.tar.gz from https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/ there",
    read=LISTS.read,
    class_names=LISTS.names,
    ends=("apple_pie", "waffles"),
    parts=(gathered("food-101", ARCHIVE),),
    gigabytes=5.1,  # food-101.tar.gz has 4,996,278,331 bytes
    mini=labelled_mini(
        "food101",
        "Food-101",
        "J",
        WrittenLayout(
            "images/{name}/{stem}.jpg",
            lists={split: (file, "{name}/{stem}") for split, file in LISTS.lists.items()},
            names=("meta/classes.txt", "{name}"),
        ),
    ),
)
