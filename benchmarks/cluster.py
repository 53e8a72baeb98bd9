"""Suite jobs on a cluster through submitit; its local executor runs the same path on one machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import submitit

from benchmarks.job import Report, Request, run_job
from benchmarks.processes import OnEnd, OnProgress, OnStart


class ClusterExecutor:
    """Submits jobs and waits; `kind` is 'slurm' or 'local', `parameters` are submitit's (timeout_min, ...).

    At most `at_once` jobs are submitted and not yet done; None for all, where the cluster has a queue of its own.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        parameters: dict[str, Any],
        at_once: int | None = None,
        poll_seconds: float = 2.0,
    ) -> None:
        self.executor = submitit.AutoExecutor(folder=folder, cluster=kind)
        self.executor.update_parameters(name="umt-bench", **parameters)
        self.at_once = at_once
        self.poll_seconds = poll_seconds

    def run(self, requests: list[Request], on_start: OnStart, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Submit jobs in order; each reports when it ends."""
        waiting, running = list(requests), list[tuple[Request, submitit.Job[Report]]]()
        while waiting or running:
            while waiting and len(running) < (self.at_once or len(requests)):
                request = waiting.pop(0)
                running.append((request, self.executor.submit(run_job, request)))
                on_start(request)
            ended = [(request, job) for request, job in running if job.done()]
            running = [(request, job) for request, job in running if (request, job) not in ended]
            for request, job in ended:
                on_end(request, _report(job))
            if running and not ended:
                time.sleep(self.poll_seconds)


def _report(job: submitit.Job[Report]) -> Report:
    try:
        return job.result()
    except Exception as error:  # the cluster killed it, or it died without an answer
        first = (str(error).strip().splitlines() or [""])[0]
        return Report("failed", f"{type(error).__name__}: {first} (log: {job.paths.stderr})")
