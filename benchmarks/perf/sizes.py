"""`python -m benchmarks.perf.sizes --images N`: costs that grow with a data set, against the plain way or a floor."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.perf.__main__ import table
from benchmarks.perf.image_list import fingerprint_row, index_row, linked_images
from benchmarks.perf.knn import CLASSES, LIMIT, NEIGHBOURS, TEMPERATURE, WIDTH
from benchmarks.perf.machine import about, clock_of
from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.tasks.dinov2_linear import FrozenParts
from benchmarks.tasks.knn import knn_votes
from umt.console import Console

FOLDERS = 1000  # classes of hard links
PARTS, PART_WIDTH, BATCH = 5, 384, 128  # of dinov2_linear with a ViT-S
QUERIES = 1024  # test images of the k-NN
SLOW = 500_000  # images from which on everything is measured once
CPU = torch.device("cpu")


@click.command()
@click.option(
    "--images", type=click.IntRange(FOLDERS), default=10_000, show_default=True, help="Images of the data set."
)
def main(images: int) -> None:
    """Print index, fingerprint, batches of frozen parts and k-NN for so many hard links and random features."""
    torch.set_num_threads(1)
    Console().print(table(rows(images, 1 if images >= SLOW else 3), about(CPU)))


def rows(images: int, repeats: int) -> list[PerfRow]:
    """Measure the files first, so that no features are in memory beside them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = linked_images(Path(folder), FOLDERS, images // FOLDERS)
        of_files = [index_row(Path(folder), repeats), fingerprint_row(paths, repeats)]
    return [*of_files, batch_row(images, repeats), knn_row(images, repeats)]


def batch_row(images: int, repeats: int) -> PerfRow:
    """Compare batches of frozen parts that are gathered at once with ones that are collated of single images."""
    values = np.ones((images, PART_WIDTH), dtype=np.float16)
    parts = {str(number): values.copy() for number in range(PARTS)}
    frozen, batches = FrozenParts(parts, np.zeros(images, dtype=int)), _batches(images)
    theirs, ours = interleaved(
        lambda: [_collated(parts, batch) for batch in batches],
        lambda: [frozen.batch(batch) for batch in batches],
        repeats=repeats,
        clock=clock_of(CPU),
    )
    milliseconds = 1000 / len(batches)
    job = f"a batch of {BATCH} of {images:,} images, {PARTS} parts of {PART_WIDTH}"
    return PerfRow(job, "image by image", theirs * milliseconds, ours * milliseconds, limit=1, unit="ms")


def _batches(images: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, images, BATCH) for _ in range(50)]


def _collated(parts: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, torch.Tensor]:
    return {name: torch.stack([torch.from_numpy(part[row]) for row in rows]) for name, part in parts.items()}


def knn_row(images: int, repeats: int) -> PerfRow:
    """Compare k-NN of a few test images with its matrix products."""
    rng = np.random.default_rng(0)
    train, test = (rng.standard_normal((count, WIDTH), dtype=np.float32) for count in (images, QUERIES))
    labels = np.arange(images) % CLASSES

    def multiply() -> None:
        for block in torch.from_numpy(train).split(20_000):
            torch.mm(torch.from_numpy(test), block.T)

    def vote() -> object:
        return knn_votes(train, labels, test, CLASSES, [NEIGHBOURS], TEMPERATURE, CPU)

    theirs, ours = interleaved(multiply, vote, repeats=repeats, clock=clock_of(CPU))
    return PerfRow(f"k-NN of {QUERIES:,} images among {images:,}, {WIDTH} wide", "its products", theirs, ours, LIMIT)


if __name__ == "__main__":
    main()
