"""Oxford Flowers-102 (Nilsback and Zisserman 2008): ten images of each flower train, ten select, the others test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles, Sample
from umt.data.layouts import gathered, matlab
from umt.data.mini.layout import Crop, WrittenLayout
from umt.data.reading import listed_samples
from umt.data.sets.labelled import labelled_mini

ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
ARCHIVES = (  # MD5 as torchvision has them
    Archive(
        "102flowers.tgz",
        url=f"{ADDRESS}/102flowers.tgz",
        md5="52808999861908f626f3c1f4e79d11fa",
        files=17_000,
        gigabytes=0.8,
    ),
    Archive("imagelabels.mat", url=f"{ADDRESS}/imagelabels.mat", md5="e0620be6f572b9609742df49c70aed4d"),
    Archive("setid.mat", url=f"{ADDRESS}/setid.mat", md5="a5357ecc9cb78c4bef273ce3793fc85c"),
)
FIELDS = {"train": "trnid", "val": "valid", "test": "tstid"}  # of setid.mat


def class_names(root: Path) -> list[str]:
    """Return the numbers of the flowers, which is all that the layout says: "001" to "102"."""
    return [f"{number:03d}" for number in range(1, int(matlab(root / "imagelabels.mat", "labels").max()) + 1)]


def read(root: Path, split: str) -> list[Sample]:
    """List the images of a split in the order of setid.mat; images and classes are numbered from 1."""
    labels = matlab(root / "imagelabels.mat", "labels").reshape(-1).tolist()
    numbers = matlab(root / "setid.mat", FIELDS[split]).reshape(-1).tolist()
    entries = [(f"image_{number:05d}.jpg", labels[number - 1] - 1) for number in numbers if 0 < number <= len(labels)]
    return listed_samples(root / "jpg", entries, root / "setid.mat")


def write_lists(folder: Path, crops: Sequence[Crop]) -> None:
    """Write labels and splits of crops, as they are in the embedded version."""
    from umt.data.mini.labelled import save_matlab  # slow to import

    labels = {crop.index: crop.label + 1 for crop in crops}
    save_matlab(folder / "imagelabels.mat", {"labels": [labels[index] for index in sorted(labels)]})
    splits = {field: [crop.index for crop in crops if crop.split == split] for split, field in FIELDS.items()}
    save_matlab(folder / "setid.mat", splits)


INFO = DatasetInfo(
    name="flowers102",
    title="Flowers-102",
    kind="classification",
    folder="flowers-102",
    splits={"train": 1020, "val": 1020, "test": 6149},
    roles=Roles("train", "test", select="val"),
    classes=102,
    source="extract 102flowers.tgz from https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ there, "
    "and put imagelabels.mat and setid.mat beside its folder jpg",
    read=read,
    class_names=class_names,
    ends=("001", "102"),
    metric="mean_per_class",
    parts=(gathered("flowers-102", *ARCHIVES),),
    gigabytes=0.35,  # 102flowers.tgz has 344,862,509 bytes
    mini=labelled_mini(
        "flowers102",
        "Flowers-102",
        "I",
        WrittenLayout("jpg/image_{stem}.jpg", finish=write_lists),
    ),
)
