"""Image loading for a loop: threads that decode ahead, worker processes and their errors."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import Dataset

from umt.errors import UMTError

FEW_IMAGES = 20_000  # about a minute of decoding JPEGs in one process: less than it takes to be worth workers
MAX_WORKERS = 8
MAX_THREADS = 16
PREFETCH_BATCHES = 2  # batches that are decoded while another one is used


def worker_count(images: int) -> int:
    """Return the number of worker processes for a loop that decodes `images` images; 0 for few, on any machine."""
    return 0 if images < FEW_IMAGES else min(os.cpu_count() or 1, MAX_WORKERS)


@contextmanager
def worker_errors() -> Iterator[None]:
    """Reduce a worker process's UMTError to its own line; torch puts it at the end of the worker's traceback."""
    try:
        yield
    except UMTError as error:
        kind = type(error)
        raise kind(error.args[0].rpartition(f"{kind.__name__}: ")[2].strip()) from error


def decoding_threads(device: torch.device) -> int:
    """Return the number of decoding threads: torch's own for a model on the CPU, all cores beside another device."""
    cores = torch.get_num_threads() if device.type == "cpu" else os.cpu_count() or 1
    return min(cores, MAX_THREADS)


def decoded_batches(
    images: Dataset[tuple[Tensor, int]], batch_size: int, threads: int, start: int = 0
) -> Iterator[Tensor]:
    """Yield images [B, ...] without their labels, in order, from image `start` on.

    Threads decode from the first request on, and pass errors on unchanged: Pillow decodes and resizes outside the GIL.
    """
    count = len(images)  # type: ignore[arg-type]
    spans = (range(first, min(first + batch_size, count)) for first in range(start, count, batch_size))
    pool = ThreadPoolExecutor(threads)

    def submit(span: range) -> list[Future[tuple[Tensor, int]]]:
        return [pool.submit(images.__getitem__, index) for index in span]

    try:
        waiting = deque(map(submit, islice(spans, PREFETCH_BATCHES)))
        while waiting:
            waiting.extend(map(submit, islice(spans, 1)))
            yield torch.stack([future.result()[0] for future in waiting.popleft()])
    finally:
        pool.shutdown(cancel_futures=True)
