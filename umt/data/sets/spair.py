"""SPair-71k (Min et al. 2019): pairs of images of 18 classes with keypoints that correspond."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.pairs import KeypointPair
from umt.data.prepare.folders import whole_archive
from umt.data.reading import listed_samples, read_table
from umt.data.sets.voc2012 import CLASSES as VOC_CLASSES
from umt.declarations import read_json
from umt.errors import DataError, LayoutError
from umt.files import visible_entries
from umt.text import brief

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dog", "horse"),
    *("motorbike", "person", "pottedplant", "sheep", "train", "tvmonitor"),
)
NAME = re.compile(r"\d+-(\w+)-(\w+):(\w+)")  # of a pair: its number, source, target and class
ARCHIVE = Archive(
    "SPair-71k.tar.gz",
    get="download http://cvlab.postech.ac.kr/research/SPair-71k/data/SPair-71k.tar.gz",
    files=160_000,
    gigabytes=1,
)
REMEDY = "extract the official archive again"


def write_mini(folder: Path, counts: tuple[int, int, int]) -> None:
    """Write all ordered pairs of (trn, val, test) rendered images of each of some classes."""
    from umt.data.mini.rendered.keypoints import write_pairs  # slow to import

    write_pairs(folder, dict(zip(INFO.splits, counts, strict=True)), VOC_CLASSES)


def read(root: Path, split: str) -> list[Sample]:
    """List the pairs of a split in the order of its list, each as its source image and its annotation."""
    path = root / "Layout" / "large" / f"{split}.txt"
    names = [name for (name,) in read_table(path, 1)]
    images = root / "JPEGImages"
    sources, targets = _images(names, path)
    listed_samples(images, [(image, 0) for image in dict.fromkeys([*sources, *targets])], path)
    folder = root / "PairAnnotation" / split
    have = {entry.name for entry in visible_entries(folder)} if folder.is_dir() else set()
    missing = next((name for name in names if f"{name}.json" not in have), None)
    if missing is not None:
        raise LayoutError(f"{folder / missing}.json: pair is listed in {path} but missing; {REMEDY}")
    return [Sample(images / source, folder / f"{name}.json") for source, name in zip(sources, names, strict=True)]


def _images(names: Sequence[str], path: Path) -> tuple[list[str], list[str]]:
    """Return the source and the target image of each pair."""
    matches = [NAME.fullmatch(name) for name in names]
    for name, match in zip(names, matches, strict=True):
        if match is None or match[3] not in CLASSES:
            raise LayoutError(f"{path}: {brief(name)} is no pair, NUMBER-SOURCE-TARGET:CLASS; {REMEDY}")
    sources, targets = ([f"{match[3]}/{match[side]}.jpg" for match in matches if match] for side in (1, 2))
    return sources, targets


def read_pair(sample: Sample) -> KeypointPair:
    """Read the annotation of a pair; UMTError names the file if it is none."""
    path = Path(str(sample.target))
    match = NAME.fullmatch(path.stem)
    values = read_json(path, "an annotation of a pair", REMEDY)
    try:
        sizes = [tuple(map(int, values[f"{side}_imsize"][:2])) for side in ("src", "trg")]
        points = [np.array(values[f"{side}_kps"], np.float64).reshape(-1, 2) for side in ("src", "trg")]
        left, top, right, bottom = map(float, values["trg_bndbox"])
        view_difference = int(values["viewpoint_variation"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: no annotation of a pair ({error!r}); {REMEDY}") from error
    if match is None or len(points[0]) != len(points[1]) or not (right > left and bottom > top):
        raise DataError(f"{path}: keypoints or box of the pair are none; {REMEDY}")
    source, target, category = match.groups()
    folder = sample.image.parent
    return KeypointPair(
        name=path.stem,
        category=category,
        images=(folder / f"{source}.jpg", folder / f"{target}.jpg"),
        sizes=((sizes[0][0], sizes[0][1]), (sizes[1][0], sizes[1][1])),
        points=(points[0], points[1]),
        box=(left, top, right, bottom),
        view_difference=view_difference,
    )


INFO = DatasetInfo(
    name="spair",
    title="SPair-71k",
    kind="keypoints",
    folder="SPair-71k",
    splits={"trn": 53_340, "val": 5384, "test": 12_234},
    roles=Roles("trn", "test"),
    classes=None,
    source="extract SPair-71k.tar.gz from https://cvlab.postech.ac.kr/research/SPair-71k/ into the data root, so that "
    "it holds SPair-71k/{JPEGImages,PairAnnotation,Layout}",
    read=read,
    pair=read_pair,
    parts=(whole_archive("SPair-71k", ARCHIVE),),
    gigabytes=0.5,  # estimated
    mini=MiniVersion(
        "rendered keypoints",
        (2, 2, 6),  # images of each class in trn, val and test
        write_mini,
        real="the photographs that surfaces are covered with, in SPair-71k's layout",
        rendered="images, masks and keypoints",
        example=False,
    ),
)
