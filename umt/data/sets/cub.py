"""Caltech-UCSD Birds-200-2011 (Wah et al. 2011) with its official split."""

from __future__ import annotations

from pathlib import Path

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample, plain_words
from umt.data.prepare.folders import whole_archive
from umt.data.reading import listed_samples, read_table, refuse_twice
from umt.errors import DataError, LayoutError

IN_TRAIN = {"train": "1", "test": "0"}  # the second column of train_test_split.txt


def class_names(root: Path) -> list[str]:
    """Return the class names in the order of `classes.txt`, which is the class index."""
    return [name for _, name in read_table(root / "classes.txt", 2)]


def read(root: Path, split: str) -> list[Sample]:
    """List the images of a split in the order of `images.txt`."""
    index = {number: label for label, number in enumerate(_by_number(root / "classes.txt"))}
    classes = _by_number(root / "image_class_labels.txt")
    in_train = _by_number(root / "train_test_split.txt")
    names = _by_number(root / "images.txt")
    for image in classes:  # if a list was cut short, the other split might lack items unnoticed
        _look_up(names, image, root / "images.txt")
    entries = []
    for image, name in names.items():
        number = _look_up(classes, image, root / "image_class_labels.txt")
        if number not in index:
            raise DataError(
                f"{root / 'image_class_labels.txt'}: image {image} has class {number}, which is not in classes.txt; "
                "extract the archive again"
            )
        if _look_up(in_train, image, root / "train_test_split.txt") == IN_TRAIN[split]:
            entries.append((name, index[number]))
    return listed_samples(root / "images", entries, root / "images.txt")


def _by_number(path: Path) -> dict[str, str]:
    """Return the second column by the first; UMTError if a number comes twice."""
    rows = read_table(path, columns=2)
    refuse_twice([number for number, _ in rows], path)
    return {row[0]: row[1] for row in rows}


def _look_up(values: dict[str, str], image: str, path: Path) -> str:
    if image not in values:
        raise LayoutError(f"{path}: no line for image {image}, which the other lists name; extract the archive again")
    return values[image]


def spoken(name: str) -> str:
    """Remove the number of a bird: '001.Black_footed_Albatross' -> 'Black footed Albatross'."""
    return plain_words(name.partition(".")[2] or name)


ARCHIVE = Archive(
    "CUB_200_2011.tgz",
    url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
    md5="97eceeb196236b17998738112f37df78",  # as several public loaders check it
    files=30_000,
    gigabytes=3,
)


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, test) crops of each second photograph in CUB-200-2011's layout."""
    from umt.data.mini.crops import NAMES, TEST, TRAIN, Cutter, save, write_lines  # slow to import

    cutter = Cutter(side=40, saved=96, seed=3)
    names = NAMES[::2]
    classes = [f"{number:03d}.{name}" for number, name in enumerate(names, start=1)]
    images, labels, splits = [], [], []
    for number, (name, label) in enumerate(zip(names, classes, strict=True), start=1):
        (folder / "images" / label).mkdir(parents=True)
        crops = [*cutter.cut(name, TRAIN, counts[0]), *cutter.cut(name, TEST, counts[1])]
        for index, crop in enumerate(crops):
            images.append(f"{label}/{name}_{index:04d}.jpg")
            labels.append(str(number))
            splits.append("1" if index < counts[0] else "0")
            save(crop, folder / "images" / images[-1])
    tables = {"images": images, "image_class_labels": labels, "train_test_split": splits, "classes": classes}
    for table, values in tables.items():
        write_lines(folder / f"{table}.txt", [f"{number} {value}" for number, value in enumerate(values, start=1)])


INFO = DatasetInfo(
    name="cub",
    title="CUB-200-2011",
    kind="classification",
    folder="CUB_200_2011",
    splits={"train": 5994, "test": 5794},
    roles=Roles("train", "test"),
    classes=200,
    source="extract CUB_200_2011.tgz from https://www.vision.caltech.edu/datasets/cub_200_2011/ there, "
    "so that it holds images and images.txt",
    read=read,
    class_names=class_names,
    ends=("001.Black_footed_Albatross", "200.Common_Yellowthroat"),
    spoken=spoken,
    prompts=("a photo of a {}, a type of bird.",),  # CLIP's authors have none for CUB: their sentence for Birdsnap
    parts=(whole_archive("CUB_200_2011", ARCHIVE),),
    gigabytes=1.2,  # CUB_200_2011.tgz has 1,150,585,339 bytes
    mini=MiniVersion(
        "crops C",
        (20, 20),  # train, test crops a photograph
        write_mini,
        real="crops of photographs from scikit-image and scikit-learn, each photograph a class, in CUB's layout",
    ),
)
