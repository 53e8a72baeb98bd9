"""Pre-flight checks of a data set: errors appear in seconds instead of after hours of compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from umt.data.contract import WHOLE_IMAGES, Dataset, LabelledImages, Sample
from umt.data.images import decode, decode_rgb
from umt.data.normals import read_normals
from umt.data.targets.labels import Labels
from umt.errors import DataError

MILLIMETRES = 1000.0  # a metre, in the values of a depth map


def validate(dataset: Dataset) -> None:
    """Index every split that is there, check every class index, and read the first and the last item of each split.

    Raises UMTError naming the first file that is missing, cannot be decoded or does not fit its annotation.
    """
    for split in dataset.sizes:
        samples = dataset.samples(split)
        if dataset.info.class_names:
            check_indices(dataset, samples)
        for sample in (samples[0], samples[-1]):
            check_item(dataset, sample)


def check_image(path: Path, box: Sequence[float] | None = None) -> tuple[int, int]:
    """Decode an image, or its part in a box, and return (width, height) in pixels; UMTError names a damaged file."""
    return decode_rgb(path, box).size


def check_annotation(image: Path, annotation: Path, labels: Labels) -> None:
    """Check a class map: one channel, as large as its image, known labels."""
    values = _same_size(image, annotation)
    unknown = labels.unknown(values) if values.ndim == 2 else None
    if values.ndim != 2 or unknown is not None:
        description = f"label {unknown}" if values.ndim == 2 else f"{values.shape[2]} channels"
        raise DataError(
            f"{annotation}: {description}, expected one channel of labels {labels.expected}; replace the file"
        )


def check_depth(
    image: Path, annotation: Path, plausible: tuple[float, float] | None = None, scale: float = MILLIMETRES
) -> None:
    """Check a depth map: 16-bit, as large as its image, some pixel measured, the median in a plausible range (m)."""
    depth = _same_size(image, annotation)
    unit = "millimetres" if scale == MILLIMETRES else f"1/{scale:g} m"
    if depth.ndim != 2 or depth.dtype.itemsize < 2:
        raise DataError(f"{annotation}: {_kind(depth)}, expected a 16-bit grey PNG in {unit}; convert it")
    if not depth.any():
        raise DataError(f"{annotation}: no valid depth (all values are 0); remove it and its image")
    median = float(np.median(depth[depth > 0])) / scale
    if plausible and not plausible[0] <= median <= plausible[1]:
        raise DataError(
            f"{annotation}: median depth {median:.2f} m if its values are {unit}, expected {plausible[0]:g} to "
            f"{plausible[1]:g} m; convert the depth to {unit}"
        )


def check_indices(dataset: Dataset, samples: Sequence[Sample]) -> None:
    """Compare class indices with the names, because a copy of a set may hold fewer classes than the official one."""
    classes = len(dataset.class_names)
    if isinstance(samples, LabelledImages):
        wrong = (samples.targets < 0) | (samples.targets >= classes)
        samples = [samples[int(index)] for index in np.flatnonzero(wrong)[:1]]
    for sample in samples:
        if not isinstance(sample.target, int) or not 0 <= sample.target < classes:
            raise DataError(f"{sample.image}: class {sample.target}, expected 0..{classes - 1}; correct the label")


def check_item(dataset: Dataset, sample: Sample) -> None:
    """Check an image, and its annotation if it has one; UMTError names the file that is wrong."""
    if isinstance(sample.target, int) or dataset.info.kind in WHOLE_IMAGES:
        check_image(sample.image, sample.box)
    elif dataset.info.pair:
        for image in dataset.info.pair(sample).images:
            check_image(image)
    elif dataset.info.kind == "depth":
        check_depth(sample.image, sample.target, dataset.info.depth_range, dataset.info.depth_scale)
    elif dataset.info.kind == "normals":
        width, height = check_image(sample.image)
        read_normals(sample.target, (height, width))
    else:
        check_annotation(sample.image, sample.target, dataset.info.pixel_labels)


def _same_size(image: Path, annotation: Path) -> np.ndarray:
    size, values = check_image(image), decode(annotation)
    if values.size != size:
        raise DataError(
            f"{annotation}: {values.size[0]}x{values.size[1]} pixels, its image {image.name} has {size[0]}x{size[1]}; "
            "replace one of them"
        )
    return np.asarray(values)


def _kind(values: np.ndarray) -> str:
    channels = f"{values.shape[2]} channels of " if values.ndim == 3 else ""
    return f"{channels}{8 * values.dtype.itemsize}-bit"
