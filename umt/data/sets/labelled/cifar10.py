"""CIFAR-10 (Krizhevsky 2009) as folders of PNG files, which are made of the archive for C programs without loss."""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, Roles
from umt.data.folder import read_split, subfolders_of
from umt.data.mini.layout import WrittenLayout
from umt.data.prepare.cifar import Records, build
from umt.data.sets.labelled import labelled_mini

ARCHIVE = Archive(
    "cifar-10-binary.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",  # as its page has it
    files=20,
    gigabytes=0.4,
)
RECORDS = Records(
    folder="cifar-10-batches-bin",
    names="batches.meta.txt",
    files={"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)},
    label_bytes=1,
)
INFO = DatasetInfo(
    name="cifar10",
    title="CIFAR-10",
    kind="classification",
    folder="cifar10",
    splits={"train": 50_000, "test": 10_000},
    roles=Roles("train", "test"),
    classes=10,
    source="make it of cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html: "
    "umt data prepare cifar10",
    read=partial(read_split, "train"),
    class_names=partial(subfolders_of, "train"),
    ends=("airplane", "truck"),
    parts=(Part("cifar10", (ARCHIVE,), partial(build, RECORDS)),),
    gigabytes=0.3,
    mini=labelled_mini(
        "cifar10",
        "CIFAR-10",
        "E",
        WrittenLayout("{split}/{name}/{stem}.png"),
    ),
)
