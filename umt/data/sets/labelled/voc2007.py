"""PASCAL VOC 2007, classification (Everingham et al. 2007): 20 classes, several of which may be in an image."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, LabelledImages, MiniVersion, Roles
from umt.data.layouts import gathered
from umt.data.reading import listed_samples, read_table
from umt.data.sets.voc2012 import CLASSES as SEGMENTED
from umt.data.targets.multilabel import ABSENT, DIFFICULT, PRESENT, encode_states
from umt.errors import DataError
from umt.text import brief

CLASSES = SEGMENTED[1:]  # without the background
ADDRESS = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007"
ARCHIVES = (  # MD5 as torchvision has them
    Archive(
        "VOCtrainval_06-Nov-2007.tar",
        url=f"{ADDRESS}/VOCtrainval_06-Nov-2007.tar",
        md5="c52e279531787c972589f7e41ab4ae64",
        files=50_000,
        gigabytes=2,
    ),
    Archive(
        "VOCtest_06-Nov-2007.tar",
        url=f"{ADDRESS}/VOCtest_06-Nov-2007.tar",
        md5="b6e924de25625d8de591ea690078ad9f",
        files=50_000,
        gigabytes=2,
    ),
)
LISTS = Path("ImageSets", "Main")
VALUES = {"-1": ABSENT, "1": PRESENT, "0": DIFFICULT}  # of a class in its list
MINI_SEED = 2007
MINI_CROP, MINI_TILE = 48, 64  # pixels of a crop, and of the tile of an image that it becomes; a difficult one a third


def read(root: Path, split: str) -> LabelledImages:
    """List the images of a split in the order of its lists, which have a line for each image and class."""
    paths = [root / LISTS / f"{name}_{split}.txt" for name in CLASSES]
    names, first = _read_list(paths[0])
    columns = [first]
    for path in paths[1:]:
        images, states = _read_list(path)
        if images != names:
            raise DataError(f"{path}: lists other images than {paths[0].name}; extract the archive again")
        columns.append(states)
    codes = encode_states(np.array(columns).reshape(len(CLASSES), -1).T)
    entries = [(f"{name}.jpg", code) for name, code in zip(names, codes.tolist(), strict=True)]
    return LabelledImages.of(listed_samples(root / "JPEGImages", entries, paths[0]))


def _read_list(path: Path) -> tuple[list[str], list[int]]:
    """Return the images in the list of a class, and the state of the class in each."""
    rows = read_table(path, 2)
    for name, value in rows:
        if value not in VALUES:
            raise DataError(
                f"{path}: image {brief(name)} has value {brief(value)}, expected -1, 0 or 1; extract the archive again"
            )
    return [name for name, _ in rows], [VALUES[value] for _, value in rows]


def write_mini(folder: Path, counts: tuple[int, int, int]) -> None:
    """Write (train, val, test) images of the embedded data: tiles cut out of photographs, each photograph a class."""
    from umt.data.mini.crops import TEST, TRAIN_PART, VAL, save, write_lines  # slow to import

    for created in (folder / LISTS, folder / "JPEGImages"):
        created.mkdir(parents=True)
    first = 1
    for split, share, count in zip(("train", "val", "test"), (TRAIN_PART, VAL, TEST), counts, strict=True):
        names = [f"{number:06d}" for number in range(first, first + count)]
        states = np.array([_draw_states(first + index) for index in range(count)])
        for name, row in zip(names, states, strict=True):
            save(_draw_image(row, share, int(name)), folder / "JPEGImages" / f"{name}.jpg")
        values = {state: text for text, state in VALUES.items()}
        for category, column in zip(CLASSES, states.T, strict=True):
            lines = [f"{name} {values[state]:>2}" for name, state in zip(names, column.tolist(), strict=True)]
            write_lines(folder / LISTS / f"{category}_{split}.txt", lines)
        first += count


def _draw_states(number: int) -> np.ndarray:
    """Draw the classes of an image: one by its number, up to two more, and perhaps a difficult one."""
    rng = np.random.default_rng([MINI_SEED, number])
    further = rng.permutation(np.delete(np.arange(len(CLASSES)), number % len(CLASSES)))
    states = np.zeros(len(CLASSES), np.int8)
    states[[number % len(CLASSES), *further[: rng.integers(0, 3)]]] = PRESENT
    states[further[2 : 2 + rng.integers(0, 2)]] = DIFFICULT
    return states


def _draw_image(states: np.ndarray, share: tuple[float, float], number: int) -> Image.Image:
    """Paste a crop of each present class over a quarter of the image, and a small one of each difficult class."""
    rng = np.random.default_rng([MINI_SEED, number, 1])
    image = Image.new("RGB", (2 * MINI_TILE, 2 * MINI_TILE), (127, 127, 127))
    labels = [*np.flatnonzero(states == PRESENT), *np.flatnonzero(states == DIFFICULT)]
    for quarter, label in zip(rng.permutation(4).tolist(), labels, strict=False):
        side = MINI_TILE if states[label] == PRESENT else MINI_TILE // 3
        crop = Image.fromarray(_crop(int(label), share, rng)).resize((side, side), Image.Resampling.BICUBIC)
        image.paste(crop, (quarter % 2 * MINI_TILE, quarter // 2 * MINI_TILE))
    return image


def _crop(label: int, share: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Cut a square at a random place out of the part of a photograph that `share` of its width spans."""
    pixels = _photograph(label)
    left, right = (round(edge * pixels.shape[1]) for edge in share)
    x, y = rng.integers(left, right - MINI_CROP + 1), rng.integers(0, pixels.shape[0] - MINI_CROP + 1)
    return pixels[y : y + MINI_CROP, x : x + MINI_CROP]


@cache
def _photograph(label: int) -> np.ndarray:
    """Return the photograph that a class is cut out of."""
    from umt.data.mini.photos import NAMES, motorcycle, photo  # slow to import

    return photo(NAMES[label]) if label < len(NAMES) else motorcycle()[0]


INFO = DatasetInfo(
    name="voc2007",
    title="VOC 2007",
    kind="multilabel",
    folder="VOCdevkit/VOC2007",
    splits={"train": 2501, "val": 2510, "test": 4952},
    roles=Roles("train", "test", select="val"),
    classes=len(CLASSES),
    source=f"extract {ARCHIVES[0].name} and {ARCHIVES[1].name} from {ADDRESS}/ into the data root, so that it holds "
    "JPEGImages and ImageSets/Main",
    read=read,
    label_names=CLASSES,
    parts=(gathered("VOCdevkit/VOC2007", *ARCHIVES, folder="VOCdevkit/VOC2007"),),
    gigabytes=0.9,  # the archives have 460,032,000 and 451,020,800 bytes
    mini=MiniVersion(
        "tiles V",
        (40, 20, 40),  # train, val, test images
        write_mini,
        real="crops of photographs from scikit-image and scikit-learn, each photograph a class, in VOC 2007's layout",
        rendered="images of up to four crops",
        example=False,
    ),
)
