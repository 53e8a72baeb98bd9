"""The classes of ImageNet's flat validation images, by its devkit: the n-th image by name has the n-th class."""

from __future__ import annotations

import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from umt.data.shards.members import PackedImage, refuse_twice
from umt.data.shards.plain_tar import PlainMember, PlainTar
from umt.errors import LayoutError, SourceError, UMTError, first_line
from umt.files import open_plain
from umt.text import brief

TRAINING = "ILSVRC2012_img_train.tar"
VALIDATION = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
META = "ILSVRC2012_devkit_t12/data/meta.mat"
MAX_DEVKIT_BYTES = 1 << 26  # of its content; the official one has 4 million
WNID = re.compile(r"n\d{1,8}")


def find_devkit(folder: Path) -> Path | None:
    """Return the devkit in `folder` or one folder above, None if there is none."""
    return next((path for parent in (folder, folder.parent) if (path := parent / DEVKIT).is_file()), None)


def classify(tar: Path, images: Iterable[PackedImage]) -> Iterable[PackedImage]:
    """Return images of a tar with their classes, which those of the official validation tar have in the devkit.

    Raises UMTError if there is no devkit, or if it is another one.
    """
    if tar.name != VALIDATION:
        return images
    images = sorted(images, key=lambda image: image.name)
    if any(image.category != tar.stem for image in images):  # somebody's own, with folders
        return images
    refuse_twice((os.fsencode(image.name) for image in images), tar.parent)
    devkit = find_devkit(tar.parent)
    if devkit is None:
        raise LayoutError(
            f"{tar}: {DEVKIT}, which has the classes of its images, is missing; put it beside the tar "
            "or one folder above, from https://www.image-net.org/download.php"
        )
    classes = classes_by_name([image.name for image in images], read_classes(devkit), tar)
    return [image._replace(category=classes[image.name]) for image in images]


def classes_by_name(names: Sequence[str], classes: Sequence[str], source: Path) -> dict[str, str]:
    """Return the class of each image by its name, in order of the names; UMTError if their number differs."""
    if len(names) != len(classes):
        raise SourceError(
            f"{source}: {len(names):,} images, {DEVKIT} has the classes of {len(classes):,}; get both again"
        )
    return dict(zip(sorted(names), classes, strict=True))


def read_classes(devkit: Path) -> list[str]:
    """Return the WordNet id of each validation image, in order of the images' names; UMTError for a damaged devkit.

    The ground truth numbers the classes as `meta.mat` does, which is another order than that of the WordNet ids.
    """
    contents = _contents(devkit)
    numbers = contents[TRUTH].decode(errors="replace").split()
    wnids = _wnids(contents[META], devkit)
    for line, number in enumerate(numbers, start=1):
        if number not in wnids:
            raise _refusal(devkit, f"{TRUTH} line {line} is {brief(number)}, no class of meta.mat")
    return [wnids[number] for number in numbers]


def _contents(devkit: Path) -> dict[str, bytes]:
    """Read the two files of the devkit that are needed, into memory."""
    contents = {}
    try:
        with (
            open_plain(devkit, links=True) as file,
            PlainTar.open(fileobj=file, mode="r:gz", tarinfo=PlainMember) as tar,
        ):
            for member in tar:
                if member.offset_data + member.size > MAX_DEVKIT_BYTES:
                    raise _refusal(devkit, f"holds more than {MAX_DEVKIT_BYTES:,} bytes")
                if member.isreg() and member.name in (TRUTH, META):
                    contents[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise _refusal(devkit, f"cannot be read ({first_line(error)})") from error
    for name in (TRUTH, META):
        if name not in contents:
            raise _refusal(devkit, f"holds no {name}")
    return contents


def _wnids(meta: bytes, devkit: Path) -> dict[str, str]:
    """Return the WordNet ids of the 1000 classes by number, without the tree's inner nodes, which have children."""
    from scipy.io import loadmat  # slow to import

    try:
        synsets: Any = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        leaves = synsets[synsets["num_children"] == 0]
        wnids = {
            str(int(number)): str(wnid) for number, wnid in zip(leaves["ILSVRC2012_ID"], leaves["WNID"], strict=True)
        }
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise _refusal(devkit, f"{META} cannot be read ({first_line(error)})") from error
    for wnid in wnids.values():  # it becomes the name of a folder
        if not WNID.fullmatch(wnid):
            raise _refusal(devkit, f"{META} names a class {brief(wnid)}, expected n01440764")
    return wnids


def _refusal(devkit: Path, reason: str) -> UMTError:
    return SourceError(f"{devkit}: {reason}; get the devkit again")
