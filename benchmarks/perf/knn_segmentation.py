"""In-context segmentation from the same features against the operations of open-hummingbird, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.tasks.knn_segmentation import Memory, confusion, kept_patches, matched_miou, segmented, stacked
from benchmarks.tasks.patch_search import Search, exact_search

BLOB = 64  # pixels a side of a region of one label
MEMORIES = (10_240, 20_480)  # patches; with more, the exact search that both need takes a larger share


@dataclass(frozen=True)
class Scenes:
    """Random images in ADE20K's proportions: ten to remember for each to segment, by a ViT-S/16 at 512 pixels."""

    train: int = 40
    test: int = 4
    labels: int = 151
    side: int = 512
    patch: int = 16
    width: int = 384
    memory: int = 10_240
    k: int = 30
    temperature: float = 0.02

    @property
    def cells(self) -> int:
        """The number of patches along a side."""
        return self.side // self.patch

    def draw(self, images: int, seed: int) -> tuple[Tensor, np.ndarray]:
        """Draw maps [N, C, H, W], and the labels [N, side, side] of their blobs, which move the features."""
        rng = np.random.default_rng(seed)
        blobs = rng.integers(1, self.labels, (images, self.side // BLOB, self.side // BLOB))
        labels = blobs.repeat(BLOB, axis=1).repeat(BLOB, axis=2)
        centres = np.random.default_rng(0).normal(size=(self.labels, self.width))
        maps = centres[labels[:, :: self.patch, :: self.patch]] + rng.normal(
            size=(images, *2 * (self.cells,), self.width)
        )
        return torch.from_numpy(maps.transpose(0, 3, 1, 2).astype(np.float32)).contiguous(), labels


def measure(device: torch.device) -> list[PerfRow]:
    """Measure everything behind the features: memory, search, votes, masks and confusion, at least 5 times as fast."""
    return [row(Scenes(memory=memory), device) for memory in MEMORIES]


def row(scenes: Scenes, device: torch.device) -> PerfRow:
    """Compare both on the same draws; the peer searches as we do, because its own search needs a GPU or ScaNN."""
    train, test = scenes.draw(scenes.train, 1), scenes.draw(scenes.test, 2)
    answers: dict[str, np.ndarray] = {}

    def ours() -> None:
        answers["ours"] = _ours(scenes, train, test, device)

    def theirs() -> None:
        answers["theirs"] = _theirs(scenes, train, test, device)

    theirs_seconds, ours_seconds = interleaved(theirs, ours, repeats=2, clock=clock_of(device))
    values = [matched_miou(answers[name]) for name in ("ours", "theirs")]
    job = f"in-context segmentation, {scenes.train} + {scenes.test} images, memory of {scenes.memory:,} patches"
    note = f"mIoU {values[0]:.4f} and {values[1]:.4f}"
    return PerfRow(job, "open-hummingbird's operations", theirs_seconds, ours_seconds, limit=5, note=note)


def _ours(
    scenes: Scenes, train: tuple[Tensor, np.ndarray], test: tuple[Tensor, np.ndarray], device: torch.device
) -> np.ndarray:
    generator = torch.Generator().manual_seed(0)
    size = scenes.memory // scenes.train
    parts = [kept_patches(fmap, labels, scenes.labels, size, generator) for fmap, labels in zip(*train, strict=True)]
    memory = Memory(np.concatenate([part for part, _ in parts]), stacked([shares for _, shares in parts]))
    search = exact_search(memory.features, scenes.k, device)
    predicted = segmented(test[0], memory, search, scenes.temperature, scenes.side)
    return _total([confusion(*pair, scenes.labels) for pair in zip(test[1], predicted, strict=True)])


def _theirs(
    scenes: Scenes, train: tuple[Tensor, np.ndarray], test: tuple[Tensor, np.ndarray], device: torch.device
) -> np.ndarray:
    """Repeat hbird_eval.py (v2.0) image by image: one-hot patches, gathered neighbours, all labels enlarged."""
    generator = torch.Generator().manual_seed(0)
    pairs = [_their_patches(scenes, fmap, labels, generator) for fmap, labels in zip(*train, strict=True)]
    features, shares = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    search = exact_search(features.numpy(), scenes.k, device)
    counts = []
    for fmap, labels in zip(*test, strict=True):
        predicted = _their_labels(scenes, fmap.flatten(1).T, features, shares, search)
        counts.append(confusion(labels, predicted, scenes.labels))
    return _total(counts)


def _their_patches(
    scenes: Scenes, fmap: Tensor, labels: np.ndarray, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    cells, patch = scenes.cells, scenes.patch
    truth = torch.from_numpy(labels).reshape(cells, patch, cells, patch).permute(0, 2, 1, 3).reshape(cells, cells, -1)
    shares = F.one_hot(truth, num_classes=scenes.labels).float().mean(dim=2).flatten(0, 1)
    rows = truth.flatten(0, 1) + torch.arange(cells * cells)[:, None] * scenes.labels
    present = torch.bincount(rows.reshape(-1), minlength=cells * cells * scenes.labels).reshape(cells * cells, -1) > 0
    scores = torch.einsum("pc,c->p", present.float(), present.sum(dim=0).float())
    scores *= torch.rand(len(scores), generator=generator)
    _, rows = torch.topk(scores, scenes.memory // scenes.train, largest=False)
    features = fmap.flatten(1).T[rows]
    return features / torch.norm(features, dim=1, keepdim=True), shares[rows]


def _their_labels(scenes: Scenes, queries: Tensor, features: Tensor, shares: Tensor, search: Search) -> np.ndarray:
    _, rows = search(queries.contiguous())
    neighbours = torch.from_numpy(rows).flatten()
    keys = features.index_select(0, neighbours).view(len(queries), scenes.k, -1)
    values = shares.index_select(0, neighbours).view(len(queries), scenes.k, -1)
    unit, keys = F.normalize(queries, dim=-1), F.normalize(keys, dim=-1)
    attention = F.softmax(torch.bmm(unit[:, None], keys.transpose(1, 2)).squeeze(1) / scenes.temperature, dim=-1)
    scores = torch.bmm(attention[:, None], values).squeeze(1)
    grid = scores.reshape(1, scenes.cells, scenes.cells, -1).permute(0, 3, 1, 2)
    enlarged = F.interpolate(grid, size=(scenes.side, scenes.side), mode="bilinear")
    return enlarged.argmax(dim=1)[0].numpy()


def _total(counts: Sequence[np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.stack(counts).sum(axis=0)
    return total
