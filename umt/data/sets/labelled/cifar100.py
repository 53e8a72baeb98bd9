"""CIFAR-100 (Krizhevsky 2009), by its fine labels, as folders of PNG files; see `cifar10`."""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, Roles
from umt.data.folder import read_split, subfolders_of
from umt.data.mini.layout import WrittenLayout
from umt.data.prepare.cifar import Records, build
from umt.data.sets.labelled import labelled_mini

ARCHIVE = Archive(
    "cifar-100-binary.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",  # as its page has it
    files=20,
    gigabytes=0.4,
)
RECORDS = Records(
    folder="cifar-100-binary",
    names="fine_label_names.txt",
    files={"train": ("train.bin",), "test": ("test.bin",)},
    label_bytes=2,  # coarse, then fine
)
INFO = DatasetInfo(
    name="cifar100",
    title="CIFAR-100",
    kind="classification",
    folder="cifar100",
    splits={"train": 50_000, "test": 10_000},
    roles=Roles("train", "test"),
    classes=100,
    source="make it of cifar-100-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html: "
    "umt data prepare cifar100",
    read=partial(read_split, "train"),
    class_names=partial(subfolders_of, "train"),
    ends=("apple", "worm"),
    parts=(Part("cifar100", (ARCHIVE,), partial(build, RECORDS)),),
    gigabytes=0.3,
    mini=labelled_mini(
        "cifar100",
        "CIFAR-100",
        "F",
        WrittenLayout("{split}/{name}/{stem}.png"),
    ),
)
