"""Images with sentences that people wrote about them: the test images of Karpathy's splits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.layouts import gathered
from umt.data.reading import listed_samples
from umt.errors import DataError, LayoutError, first_line
from umt.files import missing, read_plain
from umt.text import brief

MAX_BYTES = 1 << 28  # of a list of captions; dataset_coco.json has 150 megabytes
REMEDY = "get the official file again"
ANNOTATIONS = "get it from https://github.com/mehdidc/retrieval_annotations/releases/tag/1.0.0"

Captioned = tuple[str, Sequence[Any]]  # an image by its path below a folder, and its captions
Reader = Callable[[Path], Iterator[Captioned]]


@dataclass(frozen=True)
class CaptionLayout:
    """The files of captions that a set may have, with their readers, and the folders that may hold its images."""

    files: Mapping[str, Reader]  # the first that is there counts
    folders: tuple[str, ...]  # the first that is there counts, "" for the folder of the set

    def samples(self, root: Path, split: str) -> list[Sample]:
        """List the images, each with the file of its captions."""
        path, images = self._listed(root)
        folder = next(root / name for name in self.folders if (root / name).is_dir() or not name)
        samples = listed_samples(folder, [(image, 0) for image, _ in images], path)
        return [Sample(sample.image, path) for sample in samples]

    def captions(self, root: Path) -> list[tuple[str, ...]]:
        """Return the captions of each image, in the order of the samples; UMTError for an image without any."""
        path, images = self._listed(root)
        for image, captions in images:
            if not captions or not all(isinstance(caption, str) and caption for caption in captions):
                shown = brief(list(captions))
                raise DataError(f"{path}: captions of image {brief(image)} are {shown}, expected texts; {REMEDY}")
        return [tuple(captions) for _, captions in images]

    def _listed(self, root: Path) -> tuple[Path, list[Captioned]]:
        path = next((root / name for name in self.files if not missing(root / name)), None)
        if path is None:
            raise LayoutError(f"{root / next(iter(self.files))}: file of the data set is missing; {ANNOTATIONS}")
        return path, list(self.files[path.name](path))


def from_karpathy(path: Path) -> Iterator[Captioned]:
    """Yield the test images of Karpathy's own files, which list all splits; COCO's are all in `val2014`."""
    for image in _objects(_content(path), "images", path):
        if image.get("split") == "test":
            yield str(image.get("filename")), [sentence.get("raw") for sentence in _objects(image, "sentences", path)]


def from_coco(path: Path) -> Iterator[Captioned]:
    """Yield the images of a list in COCO's own form in order of their numbers, as torchvision does."""
    content = _content(path)
    captions: dict[str, list[Any]] = {}
    for annotation in _objects(content, "annotations", path):
        captions.setdefault(str(annotation.get("image_id")), []).append(annotation.get("caption"))
    names = {str(image.get("id")): str(image.get("file_name")) for image in _objects(content, "images", path)}
    for number in sorted(names, key=lambda text: (len(text), text)):  # that of the numbers
        yield names[number], captions.get(number, ())


def from_table(path: Path) -> Iterator[Captioned]:
    """Yield the images of a text list with a caption a line, `NAME.jpg,CAPTION`, behind a line of headings."""
    captions: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, _text(path).splitlines()[1:])):
        stem, _, caption = line.partition(".jpg,")
        captions.setdefault(f"{stem}.jpg", []).append(caption)
    yield from captions.items()


def _text(path: Path) -> str:
    try:
        return read_plain(path, links=True, max_bytes=MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}); {REMEDY}") from error


def _content(path: Path) -> Mapping[str, Any]:
    """Return the object in a JSON file."""
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a list of captions ({first_line(error)}); {REMEDY}") from error
    return content if isinstance(content, dict) else {}


def _objects(content: Mapping[str, Any], field: str, path: Path) -> list[Mapping[str, Any]]:
    """Return the list of objects in a field."""
    objects = content.get(field)
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        raise DataError(f"{path}: field '{field}' is {brief(objects)}, expected a list of objects; {REMEDY}")
    return objects


def captioned_set(
    name: str, title: str, layout: CaptionLayout, images: int, archives: tuple[Archive, ...], gigabytes: float
) -> DatasetInfo:
    """Return the declaration of a set of captioned images; the last of its archives is its list of captions."""
    return DatasetInfo(
        name=name,
        title=title,
        kind="captions",
        folder=name.partition("_")[0],
        splits={"test": images},
        roles=Roles("test", "test"),
        classes=None,
        source=f"{archives[0].get}, extract it there, and put {archives[-1].name} beside the images ({ANNOTATIONS})",
        read=layout.samples,
        captions=layout.captions,
        parts=(gathered(name.partition("_")[0], *archives),),
        gigabytes=gigabytes,
        mini=MiniVersion(
            f"captions {title[0]}",
            12,  # photographs
            partial(_write_mini, next(iter(layout.files)), layout.folders[0]),
            real=f"photographs from scikit-image and scikit-learn, captions of templates, in {title}'s layout",
            example=False,
        ),
    )


def _write_mini(file: str, images: str, folder: Path, count: int) -> None:
    from umt.data.mini.captions import write_captions  # slow to import

    write_captions(file, images, folder, count)
