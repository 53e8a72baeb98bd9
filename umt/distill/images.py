"""Images to distil on, without their labels: found, fingerprinted, shown as views, skipped where they are damaged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from umt.data.images import decode
from umt.data.registry import find_dataset
from umt.distill.recipe import ViewSpec
from umt.distill.views import View, draw_view, render
from umt.errors import UMTError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
FEW = 10  # damaged images that any folder may have
SHARE = 0.01  # of the images that may be damaged


@dataclass(frozen=True)
class ImageList:
    """Image files in a fixed order; `root` is what their names are relative to, `origin` what people call them."""

    root: Path
    names: np.ndarray  # bytes, one flat array: a million Python objects would be copied into every worker
    origin: str

    @classmethod
    def of(cls, root: Path, paths: Sequence[Path], origin: str) -> ImageList:
        return cls(root, np.array([os.fsencode(path.relative_to(root)) for path in paths]), origin)

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        return self.root / os.fsdecode(self.names[index])

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every relative name and size."""
        digest = hashlib.sha256()
        for index in range(len(self)):
            digest.update(self.names[index] + f":{self.path(index).stat().st_size}\n".encode())
        return digest.hexdigest()[:16]


def find_images(folder: Path) -> ImageList:
    """All image files below a folder, sorted by name; UMTError where there are none."""
    if not folder.is_dir():
        raise UMTError(f"--images {folder}: no such folder")
    found = [
        Path(parent) / name
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(SUFFIXES)
    ]
    if not found:
        raise UMTError(f"--images {folder}: no images below it (known: {' '.join(SUFFIXES)})")
    return ImageList.of(folder, sorted(found), str(folder))


def training_images(names: Sequence[str], data_root: Path, overrides: Mapping[str, Path]) -> ImageList:
    """The training images of data sets, in order; their first split is the one to train on."""
    datasets = [find_dataset(name, data_root, overrides) for name in names]
    paths = [
        sample.image.absolute() for dataset in datasets for sample in dataset.samples(next(iter(dataset.info.splits)))
    ]
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return ImageList.of(root, paths, ", ".join(dataset.title for dataset in datasets))


class Skipped:
    """Images that could not be decoded: each is listed once in `path`, and more than the limit of them is an error.

    The file is the memory, because several worker processes write it; lines are appended whole.
    """

    def __init__(self, path: Path, images: int) -> None:
        self.path = path
        self.limit = max(FEW, int(SHARE * images))

    def add(self, problem: UMTError) -> None:
        """Note an image that gave this error."""
        known = self.lines()
        if str(problem) not in known:
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(f"{problem}\n")
            known.append(str(problem))
        if len(known) > self.limit:
            raise UMTError(
                f"{len(known)} images cannot be decoded, more than the {self.limit} that are skipped; "
                f"{self.path} lists them, the first is {known[0]}"
            )

    def lines(self) -> list[str]:
        """One line for each image so far."""
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []


class ViewImages(Dataset[dict[str, Any]]):
    """`dataset[index, visit]`: the view of an image on its visit-th showing, {"images": uint8 [3, R, R]}.

    Where an image cannot be decoded, the next one that can stands in for it.
    """

    def __init__(self, images: ImageList, spec: ViewSpec, seed: int, skipped: Skipped) -> None:
        self.images, self.spec, self.seed, self.skipped = images, spec, seed, skipped

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        image, view, _ = self.draw(*key)
        return {"images": render(view, image, self.spec.size)}

    def draw(self, index: int, visit: int) -> tuple[Image.Image, View, int]:
        """The image, the view of it, and the index of the image that is really shown."""
        image, shown = decode_or_next(self.images, index, self.skipped)
        view = draw_view(self.spec, self.seed, shown, visit, image.width / image.height)
        return image, view, shown


def decode_or_next(images: ImageList, index: int, skipped: Skipped) -> tuple[Image.Image, int]:
    """The RGB image of an index, or of the next one that can be decoded, with its index."""
    for shown in (*range(index, len(images)), *range(index)):
        try:
            return decode(images.path(shown)).convert("RGB"), shown
        except UMTError as error:
            skipped.add(error)
    raise UMTError(f"{images.root}: no image there can be decoded")
