"""Start-up of a suite job: a fork from a warm server against a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import torch

from benchmarks.jobs.forkserver import call, fork_server
from benchmarks.perf.row import PerfRow, interleaved


def measure(_: torch.device) -> list[PerfRow]:
    """Measure both ways; each imports everything that a job needs, in its own process."""
    context = fork_server()
    call(context, "os:getpid")  # the server itself starts once a suite

    def fresh() -> None:
        subprocess.run([sys.executable, "-c", "import benchmarks.jobs.preload"], check=True, capture_output=True)

    peer, ours = interleaved(fresh, lambda: call(context, "os:getpid"), repeats=5)
    return [PerfRow("start of a suite job", "a fresh interpreter", peer, ours, limit=20)]
