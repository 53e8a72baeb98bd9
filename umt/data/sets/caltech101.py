"""Caltech-101 (Fei-Fei et al. 2004), which has no official split: a seed draws the training images of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample, plain_words
from umt.data.prepare.extract import ArchiveLimits, extract
from umt.data.prepare.folders import build_folder, whole_archive
from umt.data.reading import class_images, seeded_order, subfolders
from umt.declarations import build
from umt.errors import DeclarationError, SourceError, TooFewError, unknown_name

CATEGORIES = "101_ObjectCategories"
ZIP = Archive(
    "caltech-101.zip",
    url="https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
    md5="3138e1922a9193bfa496528edbbc45d0",  # as torchvision has it
    files=100,
    gigabytes=0.5,
)
INNER = Archive(
    f"{CATEGORIES}.tar.gz",
    get="it is in caltech-101.zip of https://data.caltech.edu/records/mzrjq-6wc02",
    files=20_000,
    gigabytes=0.5,
)
BACKGROUND = "BACKGROUND_Google"  # images of nothing in particular, which published code keeps as a 102nd class
IN_OR_OUT = ("out", "in")
NAMES = ("folders", "clip")
CLIP_NAMES = {  # the classes that CLIP's authors renamed
    BACKGROUND: "background",
    "Faces": "off-center face",
    "Faces_easy": "centered face",
    "Leopards": "leopard",
    "Motorbikes": "motorbike",
    "airplanes": "airplane",
    "car_side": "side of a car",
    "cougar_body": "body of a cougar cat",
    "cougar_face": "face of a cougar cat",
    "crocodile_head": "head of a  crocodile",  # with two spaces, as theirs
    "flamingo_head": "head of a flamingo",
    "snoopy": "snoopy (cartoon beagle)",
    "yin_yang": "yin and yang symbol",
}


@dataclass(frozen=True)
class Draw:
    """The images to train on; all others are for testing."""

    per_class: int = 30
    seed: int = 0
    replacement: bool = False  # true if an image can be drawn, and trained on, more than once
    background: str = "out"  # the folder BACKGROUND as a class: "in" or "out"

    def __post_init__(self) -> None:
        if self.per_class < 1 or self.seed < 0:
            raise DeclarationError(
                f"draw: per_class {self.per_class} and seed {self.seed}; take at least 1 image, and a seed of 0 or more"
            )
        if self.background not in IN_OR_OUT:
            raise unknown_name("background", self.background, IN_OR_OUT)

    @property
    def footnote(self) -> str | None:
        """The note that a table must show for this draw; None for the usual draw."""
        notes = []
        if self.replacement:
            notes.append(f"training images are drawn with replacement ({self.per_class} a class, some repeatedly)")
        elif self.per_class != USUAL.per_class:
            notes.append(f"{self.per_class} images a class are drawn to train on")
        if self.seed:
            notes.append(f"they are drawn with seed {self.seed}")
        if self.background == "in":
            notes.append(f"{BACKGROUND} is a class of its own")
        return f"Caltech-101: {' and '.join(notes)}." if notes else None

    def training_names(self, images: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Return the sorted names that each category trains on, out of its names; a name as often as it was drawn."""
        if self.replacement:
            return _with_replacement(images, self.per_class, self.seed)
        return {
            category: sorted(seeded_order(category, names, self.seed)[: self.per_class])
            for category, names in images.items()
        }


USUAL = Draw()
DRAWS = {"usual": USUAL, "published": Draw(replacement=True, background="in")}


def variant(name: str, options: Mapping[str, Any]) -> DatasetInfo:
    """Return the set as another draw splits it: `draw=published`, or fields of `Draw` such as `seed=1`.

    `names=clip` calls the classes as CLIP's authors do.
    """
    known, names = str(options.get("draw", "usual")), str(options.get("names", NAMES[0]))
    if known not in DRAWS:
        raise unknown_name(f"draw of data set '{name}'", known, DRAWS)
    if names not in NAMES:
        raise unknown_name(f"names of data set '{name}'", names, NAMES)
    changes = {key: value for key, value in options.items() if key not in ("draw", "names")}
    draw = build(Draw, {**asdict(DRAWS[known]), **changes}, f"data set '{name}'")
    info = INFO if draw == USUAL else _redrawn(name, draw)
    if names == NAMES[0]:
        return info
    footnote = " ".join(filter(None, (info.footnote, "Caltech-101: classes are called as by CLIP's authors.")))
    return replace(info, name=name, spoken=clip_name, footnote=footnote, declared=INFO)


def clip_name(folder: str) -> str:
    """Return the name of a class in CLIP's prompts."""
    return CLIP_NAMES.get(folder, plain_words(folder))


def _redrawn(name: str, draw: Draw) -> DatasetInfo:
    return replace(
        INFO,
        name=name,
        classes=102 if draw.background == "in" else 101,
        read=partial(read, draw),
        class_names=partial(class_names, draw),
        ends=None,
        footnote=draw.footnote,
        declared=INFO,
    )


def class_names(draw: Draw, root: Path) -> list[str]:
    """Return the 101 categories in sorted order, and the background folder before them if the draw includes it."""
    return [name for name in subfolders(root) if name != BACKGROUND or draw.background == "in"]


def read(draw: Draw, root: Path, split: str) -> list[Sample]:
    """List images in order of class and name: those that are drawn for `train`, all others for `test`."""
    names = class_names(draw, root)
    images = {name: _enough(root / name, draw.per_class) for name in names}
    images_of_split = draw.training_names(images)
    if split == "test":
        images_of_split = {name: sorted(set(images[name]).difference(images_of_split[name])) for name in names}
    return [Sample(root / name / image, index) for index, name in enumerate(names) for image in images_of_split[name]]


def _with_replacement(images: Mapping[str, Sequence[str]], count: int, seed: int) -> dict[str, list[str]]:
    """Draw by NumPy's first generator, one category after the other, as SSL-Transfer, SynCLR and Proteus do.

    From the official archive, with the background as a class, seed 0 draws exactly their images.
    """
    import numpy as np  # slow to import, and not needed to read a suite

    rng = np.random.RandomState(seed)
    return {
        category: sorted(names[index] for index in rng.choice(len(names), count)) for category, names in images.items()
    }


def _enough(folder: Path, per_class: int) -> list[str]:
    images = class_images(folder)
    if len(images) <= per_class:
        raise TooFewError(
            f"{folder}: {len(images)} images, {per_class} to train and at least one to test are needed; "
            "extract the official archive again"
        )
    return images


def build_zip(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Extract the official zip, then the tar.gz in it, which holds the folder."""
    extract(files[ZIP], scratch / "zip", ArchiveLimits.of(ZIP), progress)
    nested = scratch / "zip" / "caltech-101" / INNER.name
    if not nested.is_file():
        raise SourceError(f"{files[ZIP]}: no caltech-101/{INNER.name} in it; get the official archive")
    build_folder({INNER: nested}, out, scratch, progress, CATEGORIES)


def write_mini(folder: Path, test: int) -> None:
    """Write 30 crops to train and `test` to test of each photograph in Caltech-101's layout.

    The layout names no split, so the crops that the usual draw takes to train are cut from the training half.
    """
    from umt.data.mini.crops import NAMES, TEST, TRAIN, Cutter, save  # slow to import

    cutter = Cutter(side=96, saved=128, seed=2)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        files = [f"image_{number:04d}.jpg" for number in range(1, USUAL.per_class + test + 1)]
        train = set(USUAL.training_names({name: files})[name])
        crops = {True: cutter.cut(name, TRAIN, USUAL.per_class), False: cutter.cut(name, TEST, test)}
        for file in files:
            save(crops[file in train].pop(), folder / name / file)


INFO = DatasetInfo(
    name="caltech101",
    title="Caltech-101",
    kind="classification",
    folder=f"caltech101/{CATEGORIES}",
    splits={"train": 3030, "test": 5647},
    roles=Roles("train", "test"),
    classes=101,
    source="extract 101_ObjectCategories.tar.gz from https://data.caltech.edu/records/mzrjq-6wc02 into caltech101",
    read=partial(read, USUAL),
    class_names=partial(class_names, USUAL),
    ends=("Faces", "yin_yang"),
    metric="mean_per_class",
    prompts=(  # CLIP's
        "a photo of a {}.",
        "a painting of a {}.",
        "a plastic {}.",
        "a sculpture of a {}.",
        "a sketch of a {}.",
        "a tattoo of a {}.",
        "a toy {}.",
        "a rendition of a {}.",
        "a embroidered {}.",
        "a cartoon {}.",
        "a {} in a video game.",
        "a plushie {}.",
        "a origami {}.",
        "art of a {}.",
        "graffiti of a {}.",
        "a drawing of a {}.",
        "a doodle of a {}.",
        "a photo of the {}.",
        "a painting of the {}.",
        "the plastic {}.",
        "a sculpture of the {}.",
        "a sketch of the {}.",
        "a tattoo of the {}.",
        "the toy {}.",
        "a rendition of the {}.",
        "the embroidered {}.",
        "the cartoon {}.",
        "the {} in a video game.",
        "the plushie {}.",
        "the origami {}.",
        "art of the {}.",
        "graffiti of the {}.",
        "a drawing of the {}.",
        "a doodle of the {}.",
    ),
    parts=(
        Part(f"caltech101/{CATEGORIES}", (ZIP,), build_zip),
        whole_archive(f"caltech101/{CATEGORIES}", INNER),
    ),
    gigabytes=0.2,  # 101_ObjectCategories.tar.gz has 131,740,031 bytes
    variant=variant,
    drawn=True,
    mini=MiniVersion(
        "crops B",
        10,  # test crops a photograph, beside the 30 to train
        write_mini,
        real="crops of photographs from scikit-image and scikit-learn, each photograph a class, in Caltech-101's "
        "layout",
    ),
)
