"""Cityscapes (Cordts et al. 2016) with its fine annotations: 19 classes that are evaluated, of 34 label ids."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.prepare.folders import build_folders
from umt.data.reading import image_names, subfolders
from umt.data.targets.labels import Labels
from umt.errors import LayoutError

IMAGE_END, LABEL_END = "_leftImg8bit.png", "_gtFine_labelIds.png"
# the id of each class that is evaluated (`trainId` of the official labels.py)
IDS = {
    **{"road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19},
    **{"traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26},
    **{"truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33},
}
VOID = (*range(7), 9, 10, 14, 15, 16, 18, 29, 30, 255)  # not evaluated; the id -1 of licence plates is stored as 255
IMAGES = Archive(
    "leftImg8bit_trainvaltest.zip", get="register at https://www.cityscapes-dataset.com", files=12_000, gigabytes=24
)
ANNOTATIONS = Archive(
    "gtFine_trainvaltest.zip", get="register at https://www.cityscapes-dataset.com", files=50_000, gigabytes=6
)
MINI_CITY = "rendered"
MINI_SEEDS = {"train": 0, "val": 10_000}  # of the first street of a split
MINI_SIZE = (192, 96)  # width, height in pixels


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, val) streets of the embedded data."""
    from umt.data.mini.rendered.streets import render_street  # slow to import

    for split, count in zip(MINI_SEEDS, counts, strict=True):
        images, annotations = (folder / kind / split / MINI_CITY for kind in ("leftImg8bit", "gtFine"))
        for created in (images, annotations):
            created.mkdir(parents=True)
        for index in range(count):
            view = render_street(MINI_SEEDS[split] + index, *MINI_SIZE)
            name = f"{MINI_CITY}_{index:06d}_000019"
            Image.fromarray(view.rgb).save(images / f"{name}{IMAGE_END}")
            Image.fromarray(view.labels).save(annotations / f"{name}{LABEL_END}")


def read(root: Path, split: str) -> list[Sample]:
    """List the frames of all cities of a split with their label ids, in order of name."""
    images, annotations = root / "leftImg8bit" / split, root / "gtFine" / split
    return [sample for city in subfolders(images) for sample in _of_city(images / city, annotations / city)]


def _of_city(images: Path, annotations: Path) -> list[Sample]:
    have = set(image_names(annotations))
    samples = []
    for name in image_names(images):
        if not name.endswith(IMAGE_END):
            raise LayoutError(f"{images / name}: no frame of Cityscapes, which end in {IMAGE_END}; remove it")
        label = f"{name.removesuffix(IMAGE_END)}{LABEL_END}"
        if label not in have:
            raise LayoutError(f"{images / name}: no annotation {annotations / label}; extract the archive again")
        samples.append(Sample(images / name, annotations / label))
    return samples


INFO = DatasetInfo(
    name="cityscapes",
    title="Cityscapes",
    kind="segmentation",
    folder="cityscapes",
    splits={"train": 2975, "val": 500},
    roles=Roles("train", "val"),
    classes=len(IDS),
    source="extract leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of https://www.cityscapes-dataset.com "
    "there, so that it holds leftImg8bit/train and gtFine/train",
    read=read,
    labels=Labels(tuple(IDS.values()), VOID),
    label_names=tuple(IDS),
    parts=(Part("cityscapes", (IMAGES, ANNOTATIONS), build_folders),),
    gigabytes=12.0,  # the two archives have 11 GB and 241 MB
    mini=MiniVersion(
        "streets",
        (32, 12),  # train, val streets
        write_mini,
        real="the photographs that surfaces are covered with, in Cityscapes' layout",
        rendered="images and class maps",
        example=False,
    ),
)
