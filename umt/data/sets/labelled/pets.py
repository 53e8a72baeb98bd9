"""Oxford-IIIT Pets (Parkhi et al. 2012): 37 breeds of cats and dogs, numbered from 1 in its lists."""

from __future__ import annotations

from pathlib import Path

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles
from umt.data.layouts import ImageLists, gathered
from umt.data.mini.layout import WrittenLayout
from umt.data.reading import read_table
from umt.data.sets.labelled import labelled_mini

ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
IMAGES = Archive(
    "images.tar.gz",
    url=f"{ADDRESS}/images.tar.gz",
    md5="5c4f3ee8e5d25df40f4fd59a7f44e54c",  # both as torchvision has them
    files=16_000,
    gigabytes=2,
)
ANNOTATIONS = Archive(
    "annotations.tar.gz",
    url=f"{ADDRESS}/annotations.tar.gz",
    md5="95a8c909bbe2e81eed6a22bccdf3f68f",
    files=40_000,
    gigabytes=0.3,
)


def class_names(root: Path) -> list[str]:
    """Return the breeds in the order of their numbers; an image is called by its breed and a number."""
    rows = read_table(root / "annotations" / "trainval.txt", 4)
    breeds = {int(number): image.rpartition("_")[0] for image, number, _, _ in rows if number.isdecimal()}
    return [breeds[number] for number in sorted(breeds)]


LISTS = ImageLists(
    lists={"trainval": "annotations/trainval.txt", "test": "annotations/test.txt"},
    images={"trainval": "images", "test": "images"},
    names=class_names,
    suffix=".jpg",
    columns=4,  # image, breed, species, breed within the species
    first=1,
)
INFO = DatasetInfo(
    name="pets",
    title="Oxford Pets",
    kind="classification",
    folder="oxford-iiit-pet",
    splits={"trainval": 3680, "test": 3669},
    roles=Roles("trainval", "test"),
    classes=37,
    source="extract images.tar.gz and annotations.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/pets/ there",
    read=LISTS.read,
    class_names=class_names,
    ends=("Abyssinian", "yorkshire_terrier"),
    metric="mean_per_class",
    parts=(gathered("oxford-iiit-pet", IMAGES, ANNOTATIONS),),
    gigabytes=0.8,  # images.tar.gz has 791,918,971 bytes
    mini=labelled_mini(
        "pets",
        "Oxford Pets",
        "M",
        WrittenLayout(
            "images/{name}_{stem}.jpg",
            lists={split: (file, "{name}_{stem} {number} 1 1") for split, file in LISTS.lists.items()},
        ),
    ),
)
