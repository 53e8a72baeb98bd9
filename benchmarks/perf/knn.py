"""The k-NN classifier, against its matrix products alone."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.tasks.knn import knn_votes

WIDTH, CLASSES, NEIGHBOURS, TEMPERATURE = 768, 1000, 20, 0.07  # a ViT-B
SIZES = {"cpu": (100_000, 1_000), "cuda": (1_281_167, 50_000)}  # training and test images; ImageNet's on a GPU
QUERIES = 1_000  # test images a product
LIMIT = 1 / 1.25


def measure(device: torch.device) -> list[PerfRow]:
    """Measure random features, moved to the device block by block: at most 1.25 of the products on the device."""
    images, tests = SIZES[device.type]
    rng = np.random.default_rng(0)
    train, test = (rng.standard_normal((count, WIDTH), dtype=np.float32) for count in (images, tests))
    labels = np.arange(images) % CLASSES
    known, queries = (torch.from_numpy(values).to(device) for values in (train, test))

    def multiply() -> None:
        for block in known.split(images // 50):
            for chunk in queries.split(QUERIES):
                torch.mm(chunk, block.T)

    def vote() -> object:
        return knn_votes(train, labels, test, CLASSES, [NEIGHBOURS], TEMPERATURE, device)

    theirs, ours = interleaved(multiply, vote, repeats=3, clock=clock_of(device))
    return [PerfRow(f"k-NN of {tests:,} images among {images:,}, {WIDTH} wide", "its products", theirs, ours, LIMIT)]
