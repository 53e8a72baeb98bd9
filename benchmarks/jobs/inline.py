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
from benchmarks.suite.request import JobRequest
from benchmarks.tasks.registry import get_task
from umt.errors import OptionError

SETTINGS = ((torch.backends.cudnn, "benchmark"), (torch.backends.cudnn, "deterministic"))


class InlineExecutor:
    """Runs jobs one after the other; `models` are measured in place of the names that carry their labels."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def run(self, requests: list[JobRequest], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Run all jobs; an interruption ends the one that runs."""
        _refuse_training(requests)
        for request in requests:
            on_start(request)
            with undisturbed():
                model = self.models.get(request.key.backbone)
                report = run_job(request, partial(on_progress, request), model, logged=False)
            on_end(request, report)


def _refuse_training(requests: list[JobRequest]) -> None:
    """Raise OptionError for tasks that train, if the caller has other processes: a training would wait for them."""
    trained = [request.key.task for request in requests if get_task(request.key.task).spreads]
    if trained and torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        raise OptionError(
            f"task '{trained[0]}' trains a network, which cannot be done inside of a training on several processes; "
            "name other tasks, as knn, or evaluate the checkpoint afterwards"
        )


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run jobs as in a process of their own, and give the caller back what they change.

    That is: random numbers, threads, gradients, inference mode, autocast, and settings of torch.
    """
    python, arrays, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()
    settings = [(owner, name, getattr(owner, name)) for owner, name in SETTINGS]
    precision, dtype = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad(), _no_autocast():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.set_default_dtype(dtype)
        for owner, name, value in settings:
            setattr(owner, name, value)


@contextmanager
def _no_autocast() -> Iterator[None]:
    """Leave the caller's autocast: a protocol says the precision of its features."""
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield
