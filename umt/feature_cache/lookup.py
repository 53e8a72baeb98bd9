"""Features from the cache, or computed and kept there: the single source for linear, k-NN and few-shot."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
from filelock import Timeout
from torch import Tensor

from umt.backbones.contract import Backbone
from umt.data.contract import Sample
from umt.disk_cache import digest, shortage
from umt.errors import BackboneError, WriteError
from umt.feature_cache.entry import DTYPE, CacheEntry, total_bytes
from umt.feature_cache.key import DIGITS, feature_key
from umt.features import Consume, Extraction, Progress, each_features, part_of
from umt.files import missing

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
    """Return features float32 [N, ...] on the CPU in order of the samples, memory-mapped from `folder`.

    They are equal to the last bit with or without the cache. They are computed in memory without a folder, without room
    in it, or if it is the cache of another user that has them not. Two processes that need the same features compute
    them once; after an interruption the work goes on after the last whole batch.
    """
    compute = partial(each_features, backbone, samples, extraction, device, batch_size, progress)
    if folder is None:
        return _in_memory(compute)
    shape = (len(samples), *part_of(backbone, extraction).shape)
    key = feature_key(backbone, samples, extraction, device)
    entry = CacheEntry(folder, digest(key, DIGITS))
    if missing(entry.header) and not _has_room(entry, shape):
        return _in_memory(compute)
    try:
        with _turn(entry, lambda: progress(0, len(samples), "another process computes these features")):
            stored = entry.read(key, shape)
            if stored is None:
                if not missing(entry.header):
                    log.warning("%s: damaged; these features are computed again", entry.array)
                _fill(entry, shape, compute, batch_size)
                entry.finish(key, shape)
                stored = entry.open(shape)
    except WriteError as error:
        if not _forbidden(error):
            raise
        stored = entry.read(key, shape)
        if stored is None:
            log.warning("%s; these features are not cached", error)
            return _in_memory(compute)
    return torch.from_numpy(stored)


def _forbidden(error: WriteError) -> bool:
    """Return if the cache is one of another user, in which this one may not write."""
    cause = error.__cause__ or error.__context__
    return isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def _in_memory(compute: Callable[[Consume], None]) -> Tensor:
    batches: list[Tensor] = []
    compute(batches.append)
    return torch.cat(batches)


def _has_room(entry: CacheEntry, shape: tuple[int, ...]) -> bool:
    """Return true if the disk has room for the entry; if not, a line in the log says so."""
    existing = entry.partial.stat().st_size if entry.partial.is_file() else 0
    lacking = shortage(entry.folder, total_bytes(shape) - existing)
    if lacking:
        log.warning(
            "%s: features are not cached: that %s; make room (`umt cache prune`), or name another --cache",
            entry.folder,
            lacking,
        )
    return not lacking


@contextmanager
def _turn(entry: CacheEntry, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the entry; report the wait if another process has it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(entry.locked(timeout=0))
        except Timeout:
            on_wait()
            stack.enter_context(entry.locked())
        yield


def _fill(entry: CacheEntry, shape: tuple[int, ...], compute: Callable[..., None], batch_size: int) -> None:
    """Append the missing features, from the start of a batch, so that the batches stay the same."""
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
