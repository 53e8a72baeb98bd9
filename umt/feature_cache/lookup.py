"""Features from the cache, or computed and kept there: the one way by which linear, k-NN and few-shot get theirs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
from filelock import Timeout
from torch import Tensor

from umt.backbones.contract import Backbone
from umt.data.registry import Sample
from umt.errors import BackboneError
from umt.feature_cache.entry import DTYPE, Entry, total_bytes
from umt.feature_cache.key import digest, feature_key
from umt.features import Consume, Extraction, Progress, each_features, part_of
from umt.files import free_bytes

log = logging.getLogger(__name__)


def cached_features(
    backbone: Backbone,
    samples: Sequence[Sample],
    extraction: Extraction,
    device: torch.device,
    batch_size: int,
    progress: Progress,
    folder: Path | None,
) -> Tensor:
    """Features float32 [N, ...] on the CPU in order of the samples, memory-mapped from `folder`.

    Equal to the last bit whether they were there or not. Computed in memory where there is no folder, or no room in it.
    Two processes that ask at once compute once; one that was interrupted is continued after its last whole batch.
    """
    compute = partial(each_features, backbone, samples, extraction, device, batch_size, progress)
    if folder is None:
        return _in_memory(compute)
    shape = (len(samples), *part_of(backbone, extraction).shape)
    key = feature_key(backbone, samples, extraction, device)
    entry = Entry(folder, digest(key))
    if not entry.header.is_file() and not _has_room(entry, shape):
        return _in_memory(compute)
    with _turn(entry, lambda: progress(0, len(samples), "another process computes these features")):
        stored = entry.read(key, shape)
        if stored is None:
            if entry.header.is_file():
                log.warning("%s: damaged; these features are computed again", entry.array)
            _fill(entry, shape, compute, batch_size)
            entry.finish(key, shape)
            stored = entry.open(shape)
    return torch.from_numpy(stored)


def _in_memory(compute: Callable[[Consume], None]) -> Tensor:
    batches: list[Tensor] = []
    compute(batches.append)
    return torch.cat(batches)


def _has_room(entry: Entry, shape: tuple[int, ...]) -> bool:
    """Whether the disk takes the entry; a line in the log says so where it does not."""
    there = entry.partial.stat().st_size if entry.partial.is_file() else 0
    needed, free = total_bytes(shape) - there, free_bytes(entry.folder)
    if needed > free:
        log.warning(
            "%s: features of %.2f GB are not cached, %.2f GB are free; make room (`umt cache prune`), or name "
            "another --cache",
            entry.folder,
            needed / 1e9,
            free / 1e9,
        )
    return needed <= free


@contextmanager
def _turn(entry: Entry, on_wait: Callable[[], None]) -> Iterator[None]:
    """Alone with the entry, after a wait that is told where another process has it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(entry.locked(timeout=0))
        except Timeout:
            on_wait()
            stack.enter_context(entry.locked())
        yield


def _fill(entry: Entry, shape: tuple[int, ...], compute: Callable[..., None], batch_size: int) -> None:
    """Append the features that are not there, from the start of a batch: batches are what they would have been."""
    rows = entry.rows(shape)
    rows -= rows % batch_size
    with entry.appending(shape, rows) as handle:

        def write(batch: Tensor) -> None:
            if batch.shape[1:] != shape[1:]:
                raise BackboneError(
                    f"the backbone gives features of shape {tuple(batch.shape[1:])} and declares {shape[1:]}; "
                    "`umt backbones check` says more"
                )
            handle.write(batch.numpy().astype(DTYPE, copy=False).tobytes())

        compute(write, start=rows)
