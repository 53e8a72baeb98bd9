"""Features from the cache, or computed and kept there: the single source for linear, k-NN and few-shot."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from filelock import Timeout
from torch import Tensor

from umt.backbones.contract import Backbone
from umt.data.contract import Sample
from umt.errors import BackboneError, WriteError
from umt.feature_cache.disk_cache import digest, shortage
from umt.feature_cache.entry import DTYPE, CacheEntry, total_bytes
from umt.feature_cache.key import NAME_DIGITS, feature_key
from umt.features import Consume, Extraction, Progress, each_features, part_of
from umt.files import missing
from umt.locks import NO_LOCKS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredPart:
    """A part of the features as the cache holds it."""

    entry: CacheEntry
    key: Mapping[str, Any]
    shape: tuple[int, ...]

    def read(self) -> np.ndarray | None:
        """Return its features from disk, None if they are not there, not whole, or of something else."""
        stored = self.entry.read(self.key, self.shape)
        if stored is None and not missing(self.entry.header):
            log.warning("%s: damaged; these features are computed again", self.entry.array)
        return stored

    def missing_bytes(self) -> int:
        """Return the bytes that its file has still to grow by."""
        partial_file = self.entry.partial
        return total_bytes(self.shape) - (partial_file.stat().st_size if partial_file.is_file() else 0)

    def finish(self) -> np.ndarray:
        """Give the whole features their name, and return them."""
        self.entry.finish(self.key, self.shape)
        return self.entry.open(self.shape)

    def write(self, batch: Tensor, handle: IO[bytes]) -> None:
        """Append a batch to its open file; UMTError if it has another shape."""
        if batch.shape[1:] != self.shape[1:]:
            raise BackboneError(
                f"the backbone gives features of shape {tuple(batch.shape[1:])} and declares {self.shape[1:]}; "
                "`umt backbones check` says more"
            )
        handle.write(batch.numpy().astype(DTYPE, copy=False).tobytes())


Compute = Callable[..., None]  # of `each_features`: (parts, consume, start)


def cached_features(
    backbone: Backbone,
    samples: Sequence[Sample],
    extraction: Extraction,
    parts: Sequence[str],
    device: torch.device,
    batch_size: int,
    progress: Progress,
    folder: Path | None,
) -> list[Tensor]:
    """Return each of the parts, float32 [N, ...] on the CPU in order of the samples, memory-mapped from `folder`.

    parts: names as in `Extraction.what`, whose own value does not count here. Each has an entry of its own, and those
    that are missing are computed in one pass. They are equal to the last bit with or without the cache. They are
    computed in memory without a folder, without room in it, or if this user may not write there. Two processes that
    need the same features compute them once; after an interruption the work goes on after the last whole batch.
    """

    def compute(names: Sequence[str], consume: Consume, start: int = 0) -> None:
        each_features(backbone, samples, extraction, names, device, batch_size, progress, consume, start=start)

    names = [part_of(backbone, replace(extraction, what=part)).name for part in parts]
    distinct = sorted(set(names))
    if folder is None:
        features = _in_memory(compute, distinct)
    else:
        stored = _stored_parts(backbone, samples, extraction, distinct, device, folder)
        waits = partial(progress, 0, len(samples), "another process computes these features")
        features = _look_up(stored, compute, batch_size, waits)
    return [features[name] for name in names]


def _stored_parts(
    backbone: Backbone,
    samples: Sequence[Sample],
    extraction: Extraction,
    names: Sequence[str],
    device: torch.device,
    folder: Path,
) -> dict[str, StoredPart]:
    base = feature_key(backbone, samples, extraction, device)  # it hashes all weights, so once for all parts
    stored = {}
    for name in names:
        key = {**base, "extraction": {**base["extraction"], "what": name}}
        shape = (len(samples), *part_of(backbone, replace(extraction, what=name)).shape)
        stored[name] = StoredPart(CacheEntry(folder, digest(key, NAME_DIGITS)), key, shape)
    return stored


def _look_up(
    stored: Mapping[str, StoredPart], compute: Compute, batch_size: int, on_wait: Callable[[], None]
) -> dict[str, Tensor]:
    """Read the parts that are there, and compute the others: on disk if it has room for them, else in memory."""
    new = [name for name, part in stored.items() if missing(part.entry.header)]
    beside = [] if not new or _has_room([stored[name] for name in new]) else new
    try:
        on_disk = {name: part for name, part in stored.items() if name not in beside}
        features = _from_disk(on_disk, compute, batch_size, on_wait)
    except WriteError as error:
        if not _forbidden(error):
            raise
        return _beside_disk(stored, compute, error)
    return {**features, **(_in_memory(compute, beside) if beside else {})}


def _from_disk(
    stored: Mapping[str, StoredPart], compute: Compute, batch_size: int, on_wait: Callable[[], None]
) -> dict[str, Tensor]:
    with ExitStack() as stack:
        for part in sorted(stored.values(), key=lambda part: part.entry.name):  # in one order, or two would block
            stack.enter_context(_turn(part.entry, on_wait))
        features = {name: part.read() for name, part in stored.items()}
        lacking = {name: part for name, part in stored.items() if features[name] is None}
        if lacking:
            _fill(lacking, compute, batch_size)
        features.update({name: part.finish() for name, part in lacking.items()})
    return {name: torch.from_numpy(values) for name, values in features.items()}


def _beside_disk(stored: Mapping[str, StoredPart], compute: Compute, error: WriteError) -> dict[str, Tensor]:
    """Read the parts that are there, and compute the others in memory: this user may write none."""
    features = {name: part.entry.read(part.key, part.shape) for name, part in stored.items()}
    lacking = [name for name, values in features.items() if values is None]
    if lacking:
        log.warning("%s; these features are not cached", error)
    on_disk = {name: torch.from_numpy(values) for name, values in features.items() if values is not None}
    return {**on_disk, **(_in_memory(compute, lacking) if lacking else {})}


def _forbidden(error: WriteError) -> bool:
    """Return true if the cache is one of another user, or on a disk without locks: this process may not write there."""
    cause = error.__cause__ or error.__context__
    return isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS, *NO_LOCKS)


def _in_memory(compute: Compute, names: Sequence[str]) -> dict[str, Tensor]:
    batches: list[Sequence[Tensor]] = []
    compute(names, batches.append)
    return dict(zip(names, map(torch.cat, zip(*batches, strict=True)), strict=True))


def _has_room(parts: Sequence[StoredPart]) -> bool:
    """Return true if the disk has room for these parts; if not, a line in the log says so."""
    folder = parts[0].entry.folder
    lacking = shortage(folder, sum(part.missing_bytes() for part in parts))
    if lacking:
        log.warning(
            "%s: features are not cached: that %s; make room (`umt cache prune`), or name another --cache",
            folder,
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


def _fill(parts: Mapping[str, StoredPart], compute: Compute, batch_size: int) -> None:
    """Append the features that are missing, from the start of a batch, so that the batches stay the same."""
    rows = min(part.entry.rows(part.shape) for part in parts.values())
    rows -= rows % batch_size
    with ExitStack() as stack:
        handles = [stack.enter_context(part.entry.appending(part.shape, rows)) for part in parts.values()]

        def write(batch: Sequence[Tensor]) -> None:
            for part, values, handle in zip(parts.values(), batch, handles, strict=True):
                part.write(values, handle)

        compute(list(parts), write, rows)
