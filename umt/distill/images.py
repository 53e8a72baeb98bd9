"""Images to distil on, without their labels: found, fingerprinted, shown as views, skipped if they are damaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import Dataset

from umt.data.contract import pairs_of
from umt.data.image_list import ImageList
from umt.data.images import opened, to_rgb
from umt.data.registry import find_dataset
from umt.distill.recipe import ViewSpec
from umt.errors import DataError, UMTError, WriteError
from umt.files import open_plain, read_plain
from umt.locks import lock
from umt.text import printable

MAX_DAMAGED = 10  # damaged images that are always allowed
MAX_DAMAGED_SHARE = 0.01  # share of the images that may be damaged


def training_images(
    names: Sequence[str],
    data_root: Path,
    overrides: Mapping[str, Path],
    weights: Mapping[str, float] = MappingProxyType({}),
) -> ImageList:
    """Return the training images of data sets, in order; with a weight of 2.5, each set's twice and half of them again.

    An image that comes again has an index of its own, and so other views.
    """
    datasets = {name: find_dataset(name, data_root, overrides) for name in names}
    paths = [
        path
        for name, dataset in datasets.items()
        for path in weighted(
            [path for path, _ in pairs_of(dataset.samples(dataset.info.roles.train))], weights.get(name, 1)
        )
    ]
    return ImageList.of_paths(paths, ", ".join(dataset.title for dataset in datasets.values()))


def weighted(paths: Sequence[str], weight: float) -> list[str]:
    """Return paths `weight` times in all: whole rounds, and a share of the last round that is spread evenly."""
    count = max(1, round(len(paths) * weight))
    rounds, rest = divmod(count, len(paths))
    return [*rounds * list(paths), *(paths[index * len(paths) // rest] for index in range(rest))]


class Skipped:
    """Images that could not be decoded: each is listed once in `path`, and more than the limit of them is an error.

    The list is kept in the file, because several worker processes write it, in turns.
    """

    def __init__(self, path: Path, images: int) -> None:
        self.path = path
        self.limit = max(MAX_DAMAGED, int(MAX_DAMAGED_SHARE * images))

    def add(self, problem: UMTError) -> None:
        """Add the image that gave this error."""
        try:
            with lock(Path(f"{self.path}.lock")):
                known = self.lines()
                line = printable(str(problem))
                if line not in known:
                    with open_plain(self.path, "ab") as handle:
                        handle.write(f"{line}\n".encode())
                    known.append(line)
        except OSError as error:
            raise self._unusable(error) from error
        if len(known) > self.limit:
            raise DataError(
                f"{len(known)} images cannot be decoded, more than the {self.limit} that are skipped; {self.path} "
                f"lists them: mend or remove them, then remove that list; the first is {known[0]}"
            )

    def lines(self) -> list[str]:
        """Return one line for each image so far."""
        try:
            return read_plain(self.path).decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> UMTError:
        return WriteError(f"{self.path}: damaged images cannot be listed there ({error.strerror}); remove it")


class ViewImages(Dataset[dict[str, Any]]):
    """`dataset[index, visit]`: the view of an image on its visit-th showing, {"images": uint8 [3, R, R]}.

    If an image cannot be decoded, the next decodable one stands in for it. An EXIF orientation is not applied.
    """

    def __init__(self, images: ImageList, spec: ViewSpec, seed: int, skipped: Skipped) -> None:
        self.images, self.spec, self.seed, self.skipped = images, spec, seed, skipped

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return {"images": self.draw(*key)[0]}

    def draw(self, index: int, visit: int) -> tuple[Tensor, View, int]:
        """Return the view uint8 [3, R, R], its numbers, and the index of the image that it really shows."""
        for shown in circle(index, len(self)):
            draw = partial(draw_view, self.spec, self.seed, shown, visit)
            try:
                pixels, view = decode_view(self.images.path(shown), draw, self.spec.size)
            except UMTError as error:
                self.skipped.add(error)
                continue
            return pixels, view, shown
        raise nothing_left(self.images)


def decode_view(path: Path, draw: Callable[[float], View], size: int) -> tuple[Tensor, View]:
    """Return the view uint8 [3, size, size] that `draw` gives for the image's aspect ratio, and its numbers.

    A JPEG is decoded at a half, a quarter or an eighth of its size if its crop still has the view's resolution then.
    """
    with opened(path) as image:
        view = draw(image.width / image.height)
        image.draft(None, (math.ceil(size / view.width), math.ceil(size / view.height)))
        decoded = to_rgb(image)
    return render(view, decoded, size), view


def circle(index: int, count: int) -> Iterator[int]:
    """Yield the index, and then all others in the order in which they stand in for it."""
    return ((index + step) % count for step in range(count))


def nothing_left(images: ImageList) -> UMTError:
    """Return the error for the case that no image is left to stand in."""
    return DataError(f"{images.root}: no image there can be decoded; name other images")


@dataclass(frozen=True)
class View:
    """Position of a view, in shares of the image's width and height, and its changes of mirror and colours."""

    left: float
    top: float
    width: float
    height: float
    flip: float  # 1 for a mirror image, else 0
    brightness: float  # factors, 1 for no change
    contrast: float
    saturation: float

    def numbers(self) -> tuple[float, ...]:
        """Return all fields, as a cache stores them; `View(*numbers)` is the same view."""
        return astuple(self)


VIEW_NUMBERS = 8  # numbers that describe a view


def draw_view(spec: ViewSpec, seed: int, image: int, visit: int, aspect: float) -> View:
    """Draw the view of image number `image` on its `visit`-th showing; `aspect` is the image's width over its height.

    A random resized crop as in torchvision: ten tries for a box inside the image, else the largest at the centre.
    """
    rng = np.random.default_rng((seed, image, visit))
    box = _box(spec, rng, aspect)
    flip = float(rng.random() < spec.hflip)
    factors = 1 + spec.jitter * rng.uniform(-1, 1, 3)
    # rounded to what a cache stores, so that a stored view and a drawn one are the same
    return View(*np.array([*box, flip, *factors], dtype=np.float32).tolist())


def render(view: View, image: Image.Image, size: int) -> Tensor:
    """Render the view of an RGB image: uint8 [3, size, size]."""
    wide, high = image.size
    left, top = view.left * wide, view.top * high
    box = (left, top, min(left + view.width * wide, wide), min(top + view.height * high, high))
    shown = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    if view.flip:
        shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance, factor in _changes(view):
        shown = enhance(shown).enhance(factor)
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1).contiguous()


def _box(spec: ViewSpec, rng: np.random.Generator, aspect: float) -> tuple[float, float, float, float]:
    """Draw left, top, width and height of a crop in shares of the image's width and height."""
    low, high = spec.ratio
    for _ in range(10):
        area = rng.uniform(*spec.scale)
        ratio = math.exp(rng.uniform(math.log(low), math.log(high))) / aspect
        width, height = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if width <= 1 and height <= 1:
            return rng.random() * (1 - width), rng.random() * (1 - height), width, height
    width, height = min(1.0, high / aspect), min(1.0, aspect / low)
    return (1 - width) / 2, (1 - height) / 2, width, height


def _changes(view: View) -> list[tuple[Callable[[Image.Image], ImageEnhance._Enhance], float]]:
    factors: tuple[tuple[Callable[[Image.Image], ImageEnhance._Enhance], float], ...] = (
        (ImageEnhance.Brightness, view.brightness),
        (ImageEnhance.Contrast, view.contrast),
        (ImageEnhance.Color, view.saturation),
    )
    return [(enhance, factor) for enhance, factor in factors if factor != 1]
