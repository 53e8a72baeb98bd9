"""Jobs in the calling process: a breakpoint stops, a notebook shows what is printed, and a model needs no name."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from benchmarks.jobs.local import OnEnd, OnProgress, OnStart
from benchmarks.jobs.preflight import Models
from benchmarks.jobs.worker import run_job
from benchmarks.suite.request import Request


class InlineExecutor:
    """Runs jobs one after the other; `models` are measured in place of the names that carry their labels."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def run(self, requests: list[Request], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Run all jobs; an interruption ends the one that runs."""
        for request in requests:
            on_start(request)
            with _own_random_numbers():
                model = self.models.get(request.key.backbone)
                report = run_job(request, partial(on_progress, request), model, logged=False)
            on_end(request, report)


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Give the caller's random numbers back as they were; a job sets its own seed."""
    python, arrays = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
