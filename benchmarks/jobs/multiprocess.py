"""A job on several processes of a machine, each with its own GPU if there are any, through torchrun's launcher."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any
from uuid import uuid4

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from benchmarks.jobs.forkserver import ending, fork_server
from benchmarks.jobs.measure import measure
from benchmarks.results import Measured
from benchmarks.suite.request import JobRequest
from umt.errors import KINDS, ProcessError
from umt.training.device import pick_device
from umt.training.distributed import init_distributed

Progress = Callable[[int, int, str], None]
CHECK_SECONDS = 0.1  # seconds between two checks of the launcher


def measure_together(request: JobRequest, progress: Progress) -> Measured:
    """Run `measure` on `request.processes` processes; return the answer of the first.

    If one process fails, the others are ended, and its error is raised here.
    """
    ours, theirs = fork_server().Pipe(duplex=False)
    listener = threading.Thread(target=_pass_on, args=(ours, progress), daemon=True)
    listener.start()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=request.processes,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=CHECK_SECONDS,
        start_method="forkserver",
    )
    try:
        answers: dict[int, Measured] = elastic_launch(config, _share)(request, theirs)
    except ChildFailedError as error:
        raise _error_of(error, request) from error
    finally:
        theirs.send(None)
        listener.join()
    return answers[0]


def _share(request: JobRequest, connection: Connection) -> Measured | None:
    """Run the part of one of the processes."""
    processes = init_distributed()
    if pick_device(request.device).type == "cuda":
        request = replace(request, device=f"cuda:{processes.local_rank}")
    request = replace(request, threads=request.threads // processes.world)
    try:
        measured = measure(request, lambda *report: connection.send(report) if processes.main else None)
    except ProcessError:  # the others are gone: the launcher must first see how they ended, and then ends this process
        time.sleep(10 * CHECK_SECONDS)
        raise
    return measured if processes.main else None


def _pass_on(connection: Connection, progress: Progress) -> None:
    while (report := connection.recv()) is not None:
        progress(*report)


def _error_of(error: ChildFailedError, request: JobRequest) -> Exception:
    """Return the error of the process that failed first, in one line."""
    rank, failure = error.get_first_failure()
    process = f"process {rank} of {request.processes}"
    if failure.exitcode < 0:
        return ProcessError(f"{process}: {ending(failure.exitcode)} from the last save")
    message: Any = failure.message
    text = str(message.get("message", message) if isinstance(message, dict) else message)
    name, _, line = text.partition(": ")
    if name.strip() in KINDS:
        return KINDS[name.strip()](line.strip())
    return RuntimeError(f"{process} failed: {text.splitlines()[0] if text else ''}")
