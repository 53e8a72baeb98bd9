"""In-context segmentation: patches vote by the labels of their nearest patches (Hummingbird, Balazevic et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional as F

from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.dense_maps import each_map, resized_labels
from benchmarks.tasks.items import areas_of
from benchmarks.tasks.patch_search import Search, exact_search, faiss_search
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from umt.data.contract import Dataset, Sample
from umt.data.images import decode, decode_rgb
from umt.data.targets.labels import UNLABELLED, Labels
from umt.errors import DataError, DeclarationError
from umt.panels import Panel, panel_details, pictured
from umt.panels.segmentation import TILES, segmentation_panel

PATCH = 16  # pixels a side of a patch, by which the cost is estimated; a backbone has its own
UNLABELLED_RULES = ("first", "own")


@dataclass(frozen=True)
class KnnSegmentationSettings:
    """Everything that changes the number."""

    resolution: int  # side in pixels of the square that whole images are squeezed into
    k: int  # neighbours that vote
    temperature: float  # weight of a neighbour: exp(cosine similarity / temperature)
    memory: int  # most patches in it; each training image gives the same number
    unlabelled: str  # votes of unlabelled pixels: for the class "first", or for "own", none of the classes
    search: str = "exact"  # or a factory string of FAISS, "IVF4096,Flat"

    def __post_init__(self) -> None:
        if self.unlabelled not in UNLABELLED_RULES:
            raise DeclarationError(f"unlabelled is '{self.unlabelled}'; write one of {', '.join(UNLABELLED_RULES)}")


@dataclass(frozen=True)
class Memory:
    """Patches of training images: unit features [M, C], and the share of each label in a patch [M, labels]."""

    features: np.ndarray
    shares: csr_array


@dataclass(frozen=True)
class Channels:
    """The labels that patches vote for: the classes, and behind them one for unlabelled pixels if it is their own."""

    labels: Labels
    has_unlabelled: bool

    @property
    def count(self) -> int:
        """The number of labels."""
        return len(self.labels.classes) + self.has_unlabelled

    def votes(self, indices: np.ndarray) -> np.ndarray:
        """Return the labels that pixels of these class indices vote for."""
        rest = len(self.labels.classes) if self.has_unlabelled else 0
        return np.where(indices == UNLABELLED, rest, indices).astype(np.int64)


def run(job: Job[KnnSegmentationSettings]) -> Outcome:
    """Segment the reported images by the patches of the training images; nothing is trained."""
    settings, dataset = job.settings, job.dataset
    channels = Channels(dataset.info.pixel_labels, settings.unlabelled == "own")
    memory = remember(job, channels)
    confusions, panels = segment(job, memory, search_of(memory, settings, job.device), channels)
    classes = len(channels.labels.classes)
    total = confusions.sum(axis=0)
    return Outcome(
        metrics={**miou_of(total, classes), "miou_matched": matched_miou(total)},
        details={
            "patches": len(memory.features),
            "class_iou": class_iou(total, dataset),
            **panel_details(TILES, panels),
        },
        raw={"areas": areas_of([areas(confusion, classes) for confusion in confusions])},
        pictures={name: panel.pixels for name, panel in panels.items()},
    )


def search_of(memory: Memory, settings: KnnSegmentationSettings, device: torch.device) -> Search:
    """Return the search that the settings name."""
    if settings.search == "exact":
        return exact_search(memory.features, settings.k, device)
    return faiss_search(memory.features, settings.k, settings.search)


def remember(job: Job[KnnSegmentationSettings], channels: Channels) -> Memory:
    """Build the memory: of each training image the patches that `sampled` takes, so that it holds at most `memory`."""
    settings, samples = job.settings, job.dataset.training_samples
    side = job.backbone.side(settings.resolution)
    generator = torch.Generator().manual_seed(job.seed)
    a_sample = max(1, settings.memory // len(samples))
    features, shares = [], []

    def add(start: int, maps: Tensor) -> None:
        for sample, fmap in zip(samples[start : start + len(maps)], maps, strict=True):
            votes = channels.votes(labels_of(sample, channels.labels, side))
            rows, row_shares = kept_patches(fmap, votes, channels.count, a_sample, generator)
            features.append(rows)
            shares.append(row_shares)

    each_map(job, samples, side, add)
    return Memory(np.concatenate(features), stacked(shares))


def kept_patches(
    fmap: Tensor, votes: np.ndarray, labels: int, size: int, generator: torch.Generator
) -> tuple[np.ndarray, csr_array]:
    """Return the unit features and the shares of labels of the patches of an image to keep."""
    counts = patch_counts(votes, labels, fmap.shape[-1])
    rows = sampled(counts, size, generator)
    return F.normalize(fmap.flatten(1).T[rows], dim=1).numpy(), csr_array(counts[rows] / np.float32(counts[0].sum()))


def labels_of(sample: Sample, labels: Labels, side: int) -> np.ndarray:
    """Return the class indices uint8 [side, side] of a sample; UMTError if a pixel has an unknown value."""
    path = Path(str(sample.target))
    values = np.asarray(decode(path))
    unknown = labels.unknown(values)
    if values.ndim != 2 or unknown is not None:
        raise DataError(f"{path}: label {unknown}, expected one channel of labels {labels.expected}; replace the file")
    return resized_labels(labels.indices(values), side)


def patch_counts(votes: np.ndarray, labels: int, side: int) -> np.ndarray:
    """Count the pixels of each label [side * side, labels] in the patches of square votes [S, S]."""
    cell = np.arange(len(votes)) * side // len(votes)
    patches = cell[:, None] * side + cell[None, :]
    counts = np.bincount((patches * labels + votes).ravel(), minlength=side * side * labels)
    return counts.reshape(side * side, labels)


def sampled(counts: np.ndarray, size: int, generator: torch.Generator) -> np.ndarray:
    """Return the patches of an image to keep: rare labels first, by chance, as the public implementation samples.

    The score of a patch is the number of patches that have one of its labels, summed over its labels, times a draw.
    """
    present = (counts > 0).astype(np.float32)
    scores = torch.from_numpy(present @ present.sum(axis=0)) * torch.rand(len(counts), generator=generator)
    return scores.topk(min(size, len(scores)), largest=False).indices.numpy()


def stacked(shares: list[csr_array]) -> csr_array:
    """Return the rows of all images below each other."""
    starts = np.cumsum([0, *(part.nnz for part in shares)])
    return csr_array(
        (
            np.concatenate([part.data for part in shares]),
            np.concatenate([part.indices for part in shares]),
            np.concatenate([[0], *(part.indptr[1:] + start for part, start in zip(shares, starts, strict=False))]),
        ),
        shape=(sum(part.shape[0] for part in shares), shares[0].shape[1]),
    )


def segment(
    job: Job[KnnSegmentationSettings], memory: Memory, search: Search, channels: Channels
) -> tuple[np.ndarray, dict[str, Panel]]:
    """Return the confusion of each reported image [N, labels, labels], rows of truth, and panels of a few."""
    samples, settings = job.dataset.reported_samples, job.settings
    side = job.backbone.side(settings.resolution)
    shown, names = pictured(len(samples)), job.dataset.mask_names
    confusions, panels = [], {}

    def compare(start: int, maps: Tensor) -> None:
        predictions = segmented(maps, memory, search, settings.temperature, side)
        for index, predicted in enumerate(predictions, start):
            truth = labels_of(samples[index], channels.labels, side)
            confusions.append(confusion(truth, predicted, channels.count))
            if index in shown:
                panels[samples[index].image.stem] = panel_of(samples[index].image, predicted, truth, names)

    each_map(job, samples, side, compare)
    return np.stack(confusions), panels


def panel_of(path: Path, predicted: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> Panel:
    """Draw a photograph, and the labels of the square [S, S] stretched over it again."""
    photo = decode_rgb(path)
    prediction, mask = (
        np.asarray(Image.fromarray(labels.astype(np.uint8)).resize(photo.size, Image.Resampling.NEAREST))
        for labels in (predicted, truth)
    )
    return segmentation_panel(np.asarray(photo), prediction, mask, names)


def segmented(maps: Tensor, memory: Memory, search: Search, temperature: float, side: int) -> Iterator[np.ndarray]:
    """Yield the labels [side, side] of each image of maps [B, C, H, W]."""
    queries = F.normalize(maps.flatten(2).transpose(1, 2).flatten(0, 1), dim=1)
    scores = vote(memory, *search(queries), temperature)
    for image_scores in scores.reshape(len(maps), -1, scores.shape[1]):
        yield upsampled(image_scores, side)


def vote(memory: Memory, similarities: np.ndarray, neighbours: np.ndarray, temperature: float) -> np.ndarray:
    """Return label scores [Q, labels] of patches with such similarities [Q, k] to their neighbours [Q, k]."""
    weights = F.softmax(torch.from_numpy(similarities) / temperature, dim=1).numpy()
    starts = np.arange(0, weights.size + 1, weights.shape[1])
    matrix = csr_array((weights.ravel(), neighbours.ravel(), starts), shape=(len(weights), memory.shares.shape[0]))
    scores: np.ndarray = (matrix @ memory.shares).toarray()
    return scores


def upsampled(scores: np.ndarray, side: int) -> np.ndarray:
    """Return the label [side, side] of the largest score, interpolated between the patches [P, labels] of a square."""
    cells = round(len(scores) ** 0.5)
    (present,) = np.nonzero(scores.any(axis=0))  # others can nowhere be the largest
    # labels of a pixel side by side in memory, as the maximum reads them; argmax would take twice its time
    grid = torch.from_numpy(scores[:, present].reshape(1, cells, cells, len(present))).permute(0, 3, 1, 2)
    labels = F.interpolate(grid, size=(side, side), mode="bilinear").max(dim=1).indices[0].numpy()
    picked: np.ndarray = present[labels]
    return picked


def confusion(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """Count the labelled pixels of each truth and prediction [labels, labels]."""
    counted = truth != UNLABELLED
    pairs = truth[counted].astype(np.int64) * labels + predicted[counted]
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


def areas(counts: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels of intersection, prediction and truth [classes]; a prediction of no class is a miss alone."""
    return np.diag(counts)[:classes], counts.sum(axis=0)[:classes], counts.sum(axis=1)[:classes]


def miou_of(counts: np.ndarray, classes: int) -> dict[str, float]:
    """Return the means over classes that occur, in the truth or in predictions, and the share of right pixels."""
    intersection, predicted, true = (part.astype(np.float64) for part in areas(counts, classes))
    union = predicted + true - intersection
    return {
        "miou": 100 * float((intersection[union > 0] / union[union > 0]).mean()),
        "macc": 100 * float((intersection[true > 0] / true[true > 0]).mean()),
        "aacc": 100 * float(intersection.sum() / true.sum()),
    }


def matched_miou(counts: np.ndarray) -> float:
    """Return the mIoU as open-hummingbird reports it, in percent.

    Each predicted label stands for the one that it overlaps best, as in clustering, one to one; labels that do not
    occur count as 0, and unlabelled is a label if it has votes of its own.
    """
    intersection = counts.astype(np.float64)
    union = intersection.sum(axis=1, keepdims=True) + intersection.sum(axis=0, keepdims=True) - intersection
    ratios = intersection / np.maximum(union, 1e-8)
    rows, columns = linear_sum_assignment(1 - ratios)
    return 100 * float(ratios[rows, columns].mean())


def class_iou(counts: np.ndarray, dataset: Dataset) -> dict[str, float | None]:
    """Return the IoU of each class by its name, in percent; None if the class does not occur."""
    names = dataset.mask_names
    intersection, predicted, true = areas(counts, len(names))
    union = predicted + true - intersection
    return {
        name: 100 * float(intersection[index] / union[index]) if union[index] else None
        for index, name in enumerate(names)
    }


def workload(settings: KnnSegmentationSettings, sizes: Mapping[str, int]) -> Workload:
    """Count a pass of each image, and the similarities of the reported patches to the memory."""
    training, reported = split_sizes(sizes)
    size = (settings.resolution, settings.resolution)
    patches = (settings.resolution // PATCH) ** 2

    def solve(width: int, classes: int) -> float:
        return float(min(settings.memory, training * patches)) * reported * patches * width

    return Workload(tested=Passes(training + reported, size), solve=solve)


TASK = Task(
    name="knn_segmentation",
    about="in-context segmentation: patches vote by the labels of their nearest patches",
    settings=KnnSegmentationSettings,
    kinds=("segmentation",),
    metrics=(Metric("miou", "%"), Metric("macc", "%"), Metric("aacc", "%"), Metric("miou_matched", "%")),
    run=run,
    workload=workload,
)
