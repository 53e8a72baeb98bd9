"""How images get from disk to a loop: worker processes, and their errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from umt.errors import UMTError

FEW_IMAGES = 20_000  # about a minute of decoding JPEGs in one process: less than it takes to be worth workers
MAX_WORKERS = 8


def worker_count(images: int) -> int:
    """Worker processes for a loop that decodes `images` images in all; 0 for few, on any machine."""
    return 0 if images < FEW_IMAGES else min(os.cpu_count() or 1, MAX_WORKERS)


@contextmanager
def worker_errors() -> Iterator[None]:
    """Give a UMTError of a worker process its one line back; torch hides it at the end of the worker's traceback."""
    try:
        yield
    except UMTError as error:
        raise UMTError(str(error).rpartition(f"{UMTError.__name__}: ")[2].strip()) from error
