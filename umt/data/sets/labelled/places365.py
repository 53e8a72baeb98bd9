"""Places365-Standard (Zhou et al. 2017) at 256 pixels, with its validation images as the reported ones."""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles
from umt.data.layouts import ImageLists, gathered, listed_names
from umt.data.mini.layout import WrittenLayout
from umt.data.sets.labelled import labelled_mini
from umt.data.sets.labelled.sun397 import spoken

ADDRESS = "http://data.csail.mit.edu/places/places365"
ARCHIVES = (  # MD5 as torchvision has them
    Archive(
        "train_256_places365standard.tar",
        url=f"{ADDRESS}/train_256_places365standard.tar",
        md5="53ca1c756c3d1e7809517cc47c5561c5",
        files=3_700_000,
        gigabytes=60,
    ),
    Archive(
        "val_256.tar",
        url=f"{ADDRESS}/val_256.tar",
        md5="e27b17d8d44f4af9a78502beb927f808",
        files=74_000,
        gigabytes=2,
    ),
    Archive(
        "filelist_places365-standard.tar",
        url=f"{ADDRESS}/filelist_places365-standard.tar",
        md5="35a0585fee1fa656440f3ab298f8479c",
        files=20,
        gigabytes=0.3,
    ),
)
LISTS = ImageLists(
    lists={"train": "places365_train_standard.txt", "val": "places365_val.txt"},
    images={"train": "data_256", "val": "val_256"},
    names=partial(listed_names, "categories_places365.txt", 2),
    columns=2,
    first=0,
)
INFO = DatasetInfo(
    name="places365",
    title="Places365",
    kind="classification",
    folder="places365",
    splits={"train": 1_803_460, "val": 36_500},
    roles=Roles("train", "val"),  # the labels of the official test set are not public
    classes=365,
    source="extract train_256_places365standard.tar, val_256.tar and filelist_places365-standard.tar "
    "from http://places2.csail.mit.edu/download.html there",
    read=LISTS.read,
    class_names=LISTS.names,
    ends=("a/airfield", "z/zen_garden"),
    spoken=spoken,
    parts=(gathered("places365", *ARCHIVES),),
    gigabytes=27,
    mini=labelled_mini(
        "places365",
        "Places365",
        "N",
        WrittenLayout(
            {"train": "data_256/{name}/{stem}.jpg", "val": "val_256/Places365_val_{stem}.jpg"},
            lists={
                "train": (LISTS.lists["train"], "/{name}/{stem}.jpg {label}"),
                "val": (LISTS.lists["val"], "Places365_val_{stem}.jpg {label}"),
            },
            names=("categories_places365.txt", "/{name} {label}"),
            class_name="{name[0]}/{name}",
        ),
    ),
)
