"""ImageNet-1k: one folder a WordNet id, in `train` and `val`.

Its archives are a tar of a tar for each class, and a flat tar of validation images with their classes apart.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from rich.progress import Progress

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample, plain_words
from umt.data.prepare.extract import ArchiveEntry, ArchiveLimits, Budget, entries, extract, tar_entries, write_entries
from umt.data.reading import foldered_samples, image_names, read_table, subfolders
from umt.data.shards import devkit
from umt.data.shards.devkit import TRAINING, VALIDATION
from umt.data.shards.lookup import shard_index
from umt.errors import LayoutError, first_line
from umt.text import brief

REGISTER = "register at https://www.image-net.org/download.php"
# MD5 as torchvision has them.
TRAIN = Archive(
    TRAINING,
    md5="1d675b47d978889d74fa0da5fadfb00e",
    get=REGISTER,
    files=1_300_000,
    gigabytes=300,
)
VAL = Archive(
    VALIDATION,
    md5="29b22e2961454d5413ddabcf34fc5622",
    get=REGISTER,
    files=60_000,
    gigabytes=14,
)
DEVKIT = Archive(
    devkit.DEVKIT,
    md5="fa75699e90414af021442c21a62c3abf",
    get=REGISTER,
    files=200,
    gigabytes=0.1,
)
SOLUTION = "LOC_val_solution.csv"  # Kaggle's classes of the validation images, which lie flat there


def class_names(root: Path) -> list[str]:
    """Return WordNet ids in the order of the class indices, which is the sorted order; of `val` if it is alone."""
    if (root / "train").is_dir() or shard_index(root / "train"):
        return subfolders(root / "train")
    return subfolders(root / "val") or sorted(set(_solution(root).values()))


def read(root: Path, split: str) -> Sequence[Sample]:
    """List images in order of class and name; both splits must have the same class folders, or indices would shift."""
    names = class_names(root)
    folders = subfolders(root / split)
    if split == "val" and not folders:
        return _flat(root, names)
    different = sorted(set(names) ^ set(folders))
    if different:
        raise LayoutError(
            f"{root}: class folder '{different[0]}' is in one of train and {split} only; complete the other"
        )
    return foldered_samples(root / split, names, names)


def _flat(root: Path, names: Sequence[str]) -> list[Sample]:
    """List validation images without class folders, in order of class and name."""
    classes, index = _solution(root), {name: label for label, name in enumerate(names)}
    listed = []
    for image in image_names(root / "val"):
        wnid = classes.get(image.partition(".")[0])
        if wnid not in index:
            reason = f"its class {brief(wnid)} is not in train" if wnid else f"{SOLUTION} has no line for it"
            raise LayoutError(f"{root / 'val' / image}: {reason}; get both again")
        listed.append(Sample(root / "val" / image, index[wnid]))
    return sorted(listed, key=lambda sample: (sample.target, sample.image))


def _solution(root: Path) -> dict[str, str]:
    """Return the class of each validation image by its name, of Kaggle's list or of the devkit.

    The list is beside the images, or above Kaggle's own tree.
    """
    solution = next((path for folder in (root, *root.parents[:3]) if (path := folder / SOLUTION).is_file()), None)
    if solution:
        rows = [line.partition(",") for (line,) in read_table(solution, 1)[1:]]
        return {name: boxes.partition(" ")[0] for name, _, boxes in rows}
    folder = root / "val"
    if archive := devkit.find_devkit(folder):
        classes = devkit.classes_by_name(image_names(folder), devkit.read_classes(archive), folder)
        return {name.partition(".")[0]: wnid for name, wnid in classes.items()}
    raise LayoutError(
        f"{folder}: no class folders; put Kaggle's {SOLUTION} or the official {DEVKIT.name} into {root}, "
        "or build them: umt data prepare imagenet --from ARCHIVES"
    )


def spoken(name: str) -> str:
    """Return the name of a WordNet id that CLIP's authors chose; any other folder is called by its own name."""
    return _by_wordnet_id()[name] if re.fullmatch(r"n\d{8}", name) else plain_words(name)


@cache
def _by_wordnet_id() -> Mapping[str, str]:
    """Return the names that CLIP's authors chose, which are in the order of the sorted ids."""
    import open_clip  # slow to import
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    ids = [info.index_to_label_name(index) for index in range(info.num_classes())]
    return dict(zip(ids, open_clip.IMAGENET_CLASSNAMES, strict=True))


def build_train(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build a folder for each class from the tar of that class; the inner tars are never written."""
    budget = Budget(files[TRAIN], ArchiveLimits.of(TRAIN))
    with entries(files[TRAIN], progress) as members:
        for entry in members:
            _write_class(entry, out, budget)


def build_val(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Build a folder for each class; the n-th image in order of name has the n-th class of the devkit."""
    flat, classes = scratch / "flat", devkit.read_classes(files[DEVKIT])
    extract(files[VAL], flat, ArchiveLimits.of(VAL), progress)
    names = [image.name for image in flat.iterdir()]
    for name, wnid in devkit.classes_by_name(names, classes, files[VAL]).items():
        (out / wnid).mkdir(exist_ok=True)
        (flat / name).rename(out / wnid / name)


def _write_class(entry: ArchiveEntry, out: Path, budget: Budget) -> None:
    wnid, dot, suffix = entry.name.removeprefix("./").partition(".")
    if entry.special or suffix != "tar" or not dot or not wnid.isalnum():
        raise budget.refusal(entry.name, "no tar of a class")
    budget.count(entry.name)
    (out / wnid).mkdir()
    try:
        with entry.open() as inner:
            write_entries(tar_entries(inner), out / wnid, budget)
    except tarfile.TarError as error:
        raise budget.refusal(entry.name, f"no readable tar ({first_line(error)})") from error


def write_mini(folder: Path, count: int) -> None:
    """Write the first `count` scanned digits."""
    from umt.data.mini.digits import write_digits  # slow to import

    write_digits(folder, count)


INFO = DatasetInfo(
    name="imagenet",
    title="ImageNet-1k",
    kind="classification",
    folder="imagenet",
    splits={"train": 1_281_167, "val": 50_000},
    roles=Roles("train", "val"),  # the labels of the official test set are not public
    classes=1000,
    source="get ILSVRC 2012 from https://www.image-net.org/download.php and put one folder of images for each "
    "WordNet id into train and val",
    read=read,
    class_names=class_names,
    nested=("ILSVRC/Data/CLS-LOC", "Data/CLS-LOC"),
    ends=("n01440764", "n15075141"),
    spoken=spoken,
    prompts=("OPENAI_IMAGENET_TEMPLATES",),
    parts=(
        Part("imagenet/train", (TRAIN,), build_train),
        Part("imagenet/val", (VAL, DEVKIT), build_val),
    ),
    gigabytes=155,  # the archives have 147,897,477,120 and 6,744,924,160 bytes
    mini=MiniVersion(
        "digits",
        1797,  # scanned digits, all that there are; half to train
        write_mini,
        real="handwritten digits from scikit-learn, scanned at 8x8, enlarged, in ImageNet's layout",
    ),
)
