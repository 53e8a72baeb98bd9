"""FGVC-Aircraft (Maji et al. 2013), release 2013b, with the variant as class."""

from __future__ import annotations

from pathlib import Path

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.prepare.folders import whole_archive
from umt.data.reading import listed_samples, read_table, refuse_twice
from umt.errors import DataError


def class_names(root: Path) -> list[str]:
    """Return the variants in the order of `variants.txt`, which is the class index."""
    path = root / "data" / "variants.txt"
    names = [name for (name,) in read_table(path, 1)]
    refuse_twice(names, path)
    return names


def read(root: Path, split: str) -> list[Sample]:
    """List images in the order of `images_variant_<split>.txt`."""
    path = root / "data" / f"images_variant_{split}.txt"
    index = {name: label for label, name in enumerate(class_names(root))}
    rows = read_table(path, 2)
    for image, variant in rows:
        if variant not in index:
            raise DataError(f"{path}: image {image} has variant '{variant}', which is not in variants.txt; correct it")
    return listed_samples(root / "data" / "images", [(f"{image}.jpg", index[name]) for image, name in rows], path)


ARCHIVE = Archive(
    "fgvc-aircraft-2013b.tar.gz",
    url="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
    md5="d4acdd33327262359767eeaa97a4f732",  # as several public loaders check it
    files=12_000,
    gigabytes=6,
)


def write_mini(folder: Path, counts: tuple[int, int, int]) -> None:
    """Write (train, val, test) crops of each photograph in FGVC-Aircraft's layout."""
    from umt.data.mini.crops import NAMES, TEST, TRAIN_PART, VAL, Cutter, save, write_lines  # slow to import

    cutter = Cutter(side=24, saved=96, seed=1)
    data = folder / "data"
    (data / "images").mkdir(parents=True)
    lists: dict[str, list[str]] = {}
    for split, share, count in zip(("train", "val", "test"), (TRAIN_PART, VAL, TEST), counts, strict=True):
        lists[split] = [f"{split}_{name}_{number:03d} {name}" for name in NAMES for number in range(count)]
        crops = (crop for name in NAMES for crop in cutter.cut(name, share, count))
        for line, crop in zip(lists[split], crops, strict=True):
            save(crop, data / "images" / f"{line.split()[0]}.jpg")
    write_lines(data / "variants.txt", NAMES)
    for split, lines in {**lists, "trainval": lists["train"] + lists["val"]}.items():
        write_lines(data / f"images_variant_{split}.txt", lines)


INFO = DatasetInfo(
    name="aircraft",
    title="FGVC-Aircraft",
    kind="classification",
    folder="fgvc-aircraft-2013b",
    splits={"train": 3334, "val": 3333, "test": 3333},
    roles=Roles("train", "test", select="val"),
    classes=100,
    source="extract fgvc-aircraft-2013b.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/ there, "
    "so that it holds data/images and data/variants.txt",
    read=read,
    class_names=class_names,
    ends=("707-320", "Yak-42"),
    metric="mean_per_class",
    prompts=("a photo of a {}, a type of aircraft.", "a photo of the {}, a type of aircraft."),  # CLIP's
    parts=(whole_archive("fgvc-aircraft-2013b", ARCHIVE),),
    gigabytes=2.8,  # the archive has 2.75 GB, says its README
    mini=MiniVersion(
        "crops A",
        (10, 5, 15),  # train, val, test crops a photograph
        write_mini,
        real="crops of photographs from scikit-image and scikit-learn, each photograph a class, in Aircraft's layout",
    ),
)
