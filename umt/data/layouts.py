"""The layouts that many data sets of images share: a text list of images for each split, or folders of classes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from umt.data.archives import Archive, Part
from umt.data.contract import Sample
from umt.data.prepare.extract import ArchiveLimits, extract
from umt.data.reading import listed_samples, read_table
from umt.errors import DataError, LayoutError, first_line
from umt.files import open_plain
from umt.text import brief

EXTRACTED = (".tar", ".tgz", ".gz", ".zip")  # any other official file is copied as it is


@dataclass(frozen=True)
class ImageLists:
    """A text list of images for each split; a line names an image below `images`, and perhaps the number of its class.

    Without numbers the class of an image is its folder.
    """

    lists: Mapping[str, str]  # the list of each split: "meta/train.txt"
    images: Mapping[str, str]  # the folder of its images: "images"; "" for the data set's own
    names: Callable[[Path], list[str]]  # the classes in order of index
    suffix: str = ""  # what the list leaves out of the name of a file: ".jpg"
    columns: int = 1
    first: int | None = None  # the number of the first class, in the second column; None if there are no numbers

    def read(self, root: Path, split: str) -> list[Sample]:
        """Return the images of a split in the order of its list."""
        path = root / self.lists[split]
        index = {name: label for label, name in enumerate(self.names(root))}
        entries = []
        for image, *more in read_table(path, self.columns):
            name = image.removeprefix("/")
            label = index.get(name.rpartition("/")[0]) if self.first is None else self._number(more[0], len(index))
            if label is None:
                raise DataError(f"{path}: {brief(' '.join([image, *more]))} has no class of this data set; correct it")
            entries.append((f"{name}{self.suffix}", label))
        return listed_samples(root / self.images[split], entries, path)

    def _number(self, text: str, classes: int) -> int | None:
        number = int(text) - (self.first or 0) if text.isdecimal() else -1
        return number if 0 <= number < classes else None


def listed_names(name: str, columns: int, root: Path) -> list[str]:
    """Return the classes that a text list names, one a line, in its order and without a leading slash."""
    return [row[0].removeprefix("/") for row in read_table(root / name, columns)]


def matlab(path: Path, field: str) -> Any:
    """Return a variable of a MATLAB file; UMTError if there is none."""
    from scipy.io import loadmat  # slow to import

    try:
        with open_plain(path, links=True) as file:
            return loadmat(file, squeeze_me=True)[field]
    except FileNotFoundError:
        raise LayoutError(f"{path}: file of the data set is missing; extract the official archive again") from None
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise LayoutError(
            f"{path}: cannot be read ({first_line(error)}); extract the official archive again"
        ) from error


def gathered(target: str, *archives: Archive, folder: str | None = None) -> Part:
    """Return the part that several official files fill together: archives are extracted, other files are copied.

    An archive that holds `folder`, the last part of `target` unless it is given, gives the content of that folder.
    """
    return Part(target, archives, partial(_gather, folder=folder or target.rpartition("/")[2]))


def _gather(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress, folder: str) -> None:
    for number, (archive, path) in enumerate(files.items()):
        if not archive.name.endswith(EXTRACTED):
            shutil.copyfile(path, out / archive.name)
            continue
        content = scratch / str(number)
        extract(path, content, ArchiveLimits.of(archive), progress)
        inner = content / folder
        _move(sorted((inner if inner.is_dir() else content).iterdir()), out)


def _move(paths: Sequence[Path], out: Path) -> None:
    for path in paths:
        if path.is_dir() and (out / path.name).is_dir():  # two archives share a folder
            _move(sorted(path.iterdir()), out / path.name)
        else:
            path.rename(out / path.name)
