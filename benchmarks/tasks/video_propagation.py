"""DAVIS 2017: the objects of a video's first frame are followed by the similarity of patches; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.tasks.byte_resize import byte_resize
from benchmarks.tasks.contract import Job, Metric, Outcome, Progress, Task
from benchmarks.tasks.dense_maps import each_resized_map
from benchmarks.tasks.propagation import Propagator, Voting, label_map, one_hot, unit_features
from benchmarks.tasks.video_scores import boundary_overlap, object_scores, region_overlap
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from umt.backbones import Backbone
from umt.backbones.contract import round_up
from umt.data.contract import Sample
from umt.data.images import decode, decode_rgb, opened
from umt.data.targets.labels import UNLABELLED
from umt.errors import DataError, DeclarationError
from umt.panels import Panel, hex_colour, panel_details, pictured, side_by_side

TILES = ("image", "truth", "prediction")
ASPECT = 16 / 9  # width over height of most official videos, by which the cost is estimated
# Colours by Okabe and Ito, which people with any colour vision tell apart; objects beyond the last begin again.
COLOURS = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167)], np.uint8)


@dataclass(frozen=True)
class VideoPropagationSettings:
    """Everything that changes the number."""

    resolution: int  # pixels of the shorter side of a frame
    multiple: int  # of which the longer side is cut down to one
    stride: int  # pixels, at most, of the map: the last such one, or the finest if all are coarser
    frames: int  # before a frame whose labels vote, beside the first one
    neighbours: int  # the most similar patches
    window: int  # patches up, down, left and right that may vote; 0 for no bound
    temperature: float  # weight of a neighbour: exp(cosine similarity / temperature)

    def __post_init__(self) -> None:
        if self.resolution < self.multiple:
            raise DeclarationError(f"resolution is {self.resolution}; write one of {self.multiple} (multiple) or more")

    @property
    def voting(self) -> Voting:
        """The part that decides the votes."""
        return Voting(self.frames, self.neighbours, self.window, self.temperature)


@dataclass(frozen=True)
class Followed:
    """A video that was followed: the scores of each object, and its middle frame with truth and prediction [H, W]."""

    name: str
    scores: list[Mapping[str, float]]
    shown: tuple[Path, np.ndarray, np.ndarray]


def run(job: Job[VideoPropagationSettings]) -> Outcome:
    """Follow the objects of every reported video, and compare masks of all frames but the first and the last."""
    followed = [follow(part, video) for part, video in _videos(job)]
    names = [f"{video.name}/{number}" for video in followed for number in range(1, len(video.scores) + 1)]
    rows = [scores for video in followed for scores in video.scores]
    values = {metric.name: np.array([row[metric.name] for row in rows]) for metric in TASK.metrics}
    panels = {followed[index].name: panel(*followed[index].shown) for index in pictured(len(followed))}
    return Outcome(
        {name: float(column.mean()) for name, column in values.items()},
        details={"map": map_index(job.backbone, job.settings.stride), **panel_details(TILES, panels)},
        raw={"image": np.array(names), **values},
        pictures={name: picture.pixels for name, picture in panels.items()},
    )


def _videos(
    job: Job[VideoPropagationSettings],
) -> Iterator[tuple[Job[VideoPropagationSettings], list[Sample]]]:
    """Yield the frames of each video, and the job with the progress of all videos."""
    samples, done = job.dataset.reported_samples, 0
    for _, frames in groupby(samples, key=lambda sample: sample.image.parent):
        video = list(frames)
        yield replace(job, progress=_shifted(job.progress, done, len(samples))), video
        done += len(video)


def _shifted(progress: Progress, start: int, total: int) -> Progress:
    return lambda done, _, text: progress(start + done, total, text)


def follow(job: Job[VideoPropagationSettings], video: Sequence[Sample]) -> Followed:
    """Propagate the objects of the first frame through a video."""
    first, settings = read_mask(video[0]), job.settings
    objects = int(first.max())
    if not objects:
        raise DataError(f"{video[0].target}: the first mask of a video shows no object; extract the archive again")
    with opened(video[0].image) as image:
        size = frame_size(*image.size, settings, job.backbone.preprocess.size_multiple)
    predictions: list[np.ndarray] = []
    propagator: Propagator | None = None

    def take(_: int, maps: Tensor) -> None:
        nonlocal propagator
        for fmap in maps:
            features = unit_features(fmap)
            if propagator is None:
                labels = one_hot(torch.from_numpy(_nearest(first, fmap.shape[-2:])).long(), objects + 1)
                propagator = Propagator(settings.voting, (features, labels))
                continue
            mask = label_map(propagator.step(features), size).to(torch.uint8).numpy()
            predictions.append(_nearest(mask, first.shape))

    each_resized_map(job, video, lambda image: resized(image, size), take, map_index(job.backbone, settings.stride))
    return _compare(video, predictions, objects)


def _compare(video: Sequence[Sample], predictions: Sequence[np.ndarray], objects: int) -> Followed:
    """Compare predictions of all frames but the first; the last is not evaluated."""
    overlaps = np.zeros((2, objects, len(video) - 2))
    middle = (len(video) - 2) // 2
    for frame, (sample, predicted) in enumerate(zip(video[1:-1], predictions, strict=False)):
        truth = read_mask(sample)
        if frame == middle:
            shown = (sample.image, truth, predicted)
        for number in range(objects):
            masks = truth == number + 1, predicted == number + 1
            overlaps[:, number, frame] = region_overlap(*masks), boundary_overlap(*masks)
    scores = [object_scores(*overlaps[:, number]) for number in range(objects)]
    return Followed(video[0].image.parent.name, scores, shown)


def read_mask(sample: Sample) -> np.ndarray:
    """Return the number of the object at each pixel, uint8 [H, W], 0 for none; UMTError if the mask is no such map."""
    mask = np.asarray(decode(Path(str(sample.target))))
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise DataError(f"{sample.target}: {mask.dtype} {list(mask.shape)}, expected one channel of bytes; replace it")
    return np.where(mask == UNLABELLED, 0, mask).astype(np.uint8)


def frame_size(width: int, height: int, settings: VideoPropagationSettings, size_multiple: int) -> tuple[int, int]:
    """Return height and width of a frame for the backbone: the published ones, grown to sizes that it takes."""
    ratio = height / width if height > width else width / height
    longer = int(settings.resolution * ratio // settings.multiple * settings.multiple)
    sides = (longer, settings.resolution) if height > width else (settings.resolution, longer)
    return round_up(sides[0], size_multiple), round_up(sides[1], size_multiple)


def map_index(backbone: Backbone, stride: int) -> int:
    """Return the index of the last map that is no coarser than the stride, or of the last of the finest ones."""
    bound = max(stride, min(backbone.strides))
    return max(index for index, value in enumerate(backbone.strides) if value <= bound)


def resized(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """Return an image as uint8 [3, h, w], as published code resizes frames."""
    return torch.from_numpy(byte_resize(np.asarray(image), size)).permute(2, 0, 1)


def _nearest(mask: np.ndarray, size: Sequence[int]) -> np.ndarray:
    height, width = size
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def panel(path: Path, truth: np.ndarray, predicted: np.ndarray) -> Panel:
    """Draw a frame, and over its grey picture the objects as they are and as they were followed."""
    image = np.asarray(decode_rgb(path))
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    objects = range(1, int(truth.max()) + 1)
    legend = {f"object {number}": hex_colour(COLOURS[(number - 1) % len(COLOURS)]) for number in objects}
    return Panel(side_by_side(image, [_painted(grey, mask) for mask in (truth, predicted)]), legend)


def _painted(grey: np.ndarray, mask: np.ndarray) -> np.ndarray:
    colours = COLOURS[(mask.astype(int) - 1) % len(COLOURS)]
    return np.where(mask[..., None] > 0, colours, grey)


def workload(settings: VideoPropagationSettings, sizes: Mapping[str, int]) -> Workload:
    """Count a pass of each frame; its similarities to the context are few beside it."""
    _, reported = split_sizes(sizes)
    longer = int(settings.resolution * ASPECT // settings.multiple * settings.multiple)
    return Workload(tested=Passes(reported, (settings.resolution, longer)))


TASK = Task(
    name="video_propagation",
    about="objects of videos, followed by the similarity of patches (DAVIS 2017)",
    settings=VideoPropagationSettings,
    kinds=("video",),
    metrics=(
        Metric("jf", "%"),
        Metric("j_mean", "%"),
        Metric("j_recall", "%"),
        Metric("j_decay", "%", higher_is_better=False, signed=True),
        Metric("f_mean", "%"),
        Metric("f_recall", "%"),
        Metric("f_decay", "%", higher_is_better=False, signed=True),
    ),
    run=run,
    workload=workload,
    trains=False,
    seeded=False,
)
