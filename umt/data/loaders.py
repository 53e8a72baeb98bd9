"""Image loading for a loop: threads that decode ahead, worker processes and their errors."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import Dataset

from umt.errors import OptionError, UMTError
from umt.surroundings import usable_cores

FEW_IMAGES = 20_000  # about a minute of decoding JPEGs in one process: less than it takes to be worth workers
CAP = "UMT_LOADERS"  # variable with the most threads or processes that load images for a training or an extraction
DEFAULT_CAP = 16  # more than a GPU can use, and each process holds memory
PREFETCH_BATCHES = 2  # batches that are decoded while another one is used


def worker_count(images: int) -> int:
    """Return the number of worker processes for a loop that decodes `images` images; 0 for few, on any machine."""
    return 0 if images < FEW_IMAGES else min(usable_cores(), loader_cap())


def loader_cap() -> int:
    """Return the most threads or processes that load images, as the environment says; UMTError if it says nonsense."""
    text = os.environ.get(CAP, str(DEFAULT_CAP))
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(
            f"{CAP}={text}: the most threads or processes that load images; take a whole number from 1 on"
        )
    return int(text)


@contextmanager
def worker_errors() -> Iterator[None]:
    """Reduce a worker process's UMTError to its own line; torch puts it at the end of the worker's traceback."""
    try:
        yield
    except UMTError as error:
        kind = type(error)
        raise kind(error.args[0].rpartition(f"{kind.__name__}: ")[2].strip()) from error


def decoding_threads(device: torch.device) -> int:
    """Return the number of decoding threads: torch's own for a model on the CPU, all usable cores beside a GPU."""
    cores = torch.get_num_threads() if device.type == "cpu" else usable_cores()
    return min(cores, loader_cap())


def decoded_batches(
    images: Dataset[tuple[Tensor, int]], batch_size: int, threads: int, start: int = 0, *, pinned: bool = False
) -> Iterator[Tensor]:
    """Yield images [B, ...] without their labels, in order, from image `start` on; in pinned memory if asked for.

    Threads decode from the first request on, and pass errors on unchanged: Pillow decodes and resizes outside the GIL.
    A thread of its own stacks and pins, so that the caller only waits.
    """
    count = len(images)  # type: ignore[arg-type]
    spans = (range(first, min(first + batch_size, count)) for first in range(start, count, batch_size))
    pool, stacker = ThreadPoolExecutor(threads), ThreadPoolExecutor(1)

    def submit(span: range) -> Future[Tensor]:
        items = [pool.submit(images.__getitem__, index) for index in span]
        return stacker.submit(_stacked, items, pinned)

    try:
        waiting = deque(map(submit, islice(spans, PREFETCH_BATCHES)))
        while waiting:
            waiting.extend(map(submit, islice(spans, 1)))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        stacker.shutdown(cancel_futures=True)


def _stacked(items: Sequence[Future[tuple[Tensor, int]]], pinned: bool) -> Tensor:
    batch = torch.stack([item.result()[0] for item in items])
    return batch.pin_memory() if pinned else batch
