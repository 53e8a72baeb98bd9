"""The images of an analysis: a folder of any images, or the reported split of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Data
from umt.data.contract import pairs_of
from umt.data.image_list import ImageList, find_images
from umt.data.registry import find_dataset
from umt.errors import OptionError


@dataclass(frozen=True)
class ImageSource:
    """Images, their name in the store, and their description in a result."""

    name: str
    images: ImageList
    data: Data


def find_source(folder: Path | None, dataset: str | None, data_root: Path | None, limit: int | None) -> ImageSource:
    """Find the images of a folder or a data set, at most `limit`, evenly spaced. UMTError unless just one is named."""
    if folder and not dataset:
        images = thinned(find_images(folder), limit)
        return ImageSource(folder.name, images, Data(str(folder), "", False, {"images": len(images)}, str(folder)))
    if dataset and data_root and not folder:
        return _of_dataset(dataset, data_root, limit)
    raise OptionError("name the images: --images FOLDER, or --dataset NAME with --data-root")


def thinned(images: ImageList, limit: int | None) -> ImageList:
    """Return at most `limit` images, evenly spaced."""
    if limit is None or limit >= len(images):
        return images
    return ImageList(images.root, images.names[[index * len(images) // limit for index in range(limit)]], images.origin)


def _of_dataset(name: str, data_root: Path, limit: int | None) -> ImageSource:
    dataset = find_dataset(name, data_root)
    split = dataset.info.roles.report
    all_images = ImageList.of_paths([path for path, _ in pairs_of(dataset.reported_samples)], dataset.title)
    images = thinned(all_images, limit)
    official = dataset.official and len(images) == len(all_images)
    sizes = {split: len(images)}
    return ImageSource(name, images, Data(dataset.title, dataset.origin, official, sizes, str(dataset.root)))
