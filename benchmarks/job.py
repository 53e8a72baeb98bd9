"""One job from request to stored result, in a process of its own."""

from __future__ import annotations

import math
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from benchmarks.results import Data, Key, Result, ResultStore
from umt.errors import UMTError


@dataclass(frozen=True)
class Request:
    """A planned job, in plain values, so that it can be sent to another process or machine."""

    key: Key
    spec: str
    protocol: str  # name or file
    data_root: Path  # folder of the data set itself
    suite: str
    device: str
    out: Path
    threads: int = 0  # of the CPU, 0 for as many as torch takes

    @property
    def title(self) -> str:
        return self.key.title

    @property
    def log(self) -> Path:
        return self.out / "logs" / f"{self.key.stem}.log"

    @property
    def work_dir(self) -> Path:
        return self.out / "work" / self.key.stem


@dataclass(frozen=True)
class Report:
    """How a job ended: 'done', 'failed', or 'elsewhere' when another process is at it."""

    status: str
    message: str = ""
    seconds: float = 0.0


def run_job(request: Request, progress: Callable[[int, int, str], None] = lambda done, total, text: None) -> Report:
    """Run the job and store its result; errors become a report, and go to the log in full."""
    request.work_dir.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    try:
        with FileLock(request.work_dir / "lock", timeout=0):
            _measure(request, progress)
    except Timeout:
        return Report("elsewhere", "another process is running this job")
    except Exception as error:
        return Report("failed", _explain(error, request), time.perf_counter() - started)
    _remove_checkpoints(request.work_dir)
    return Report("done", "", time.perf_counter() - started)


def _measure(request: Request, progress: Callable[[int, int, str], None]) -> None:
    import torch
    from threadpoolctl import threadpool_limits

    from benchmarks.environment import describe, peak_memory_mb, pick_device
    from benchmarks.protocols import Protocol, load_protocol
    from benchmarks.tasks.contract import Job
    from benchmarks.tasks.registry import get_task
    from umt.backbones import create_backbone
    from umt.data.registry import Dataset, dataset_info

    started = time.perf_counter()
    if request.threads:
        torch.set_num_threads(request.threads)
        threadpool_limits(request.threads)  # of NumPy and SciPy
    torch.manual_seed(request.key.seed)
    device = pick_device(request.device)
    environment = describe(device)
    task = get_task(request.key.task)
    protocol: Protocol[Any] = load_protocol(task.name, request.protocol, task.settings)
    dataset = Dataset(dataset_info(request.key.dataset), request.data_root)
    backbone = create_backbone(request.spec).to(device)
    outcome = task.run(Job(backbone, dataset, protocol.settings, request.key.seed, device, request.work_dir, progress))
    result = Result(
        key=request.key,
        spec=request.spec,
        architecture=backbone.architecture,
        suite=request.suite,
        protocol_version=protocol.version,
        metrics={metric.name: _finite(outcome.metrics[metric.name], metric.name) for metric in task.metrics},
        units={metric.name: metric.unit for metric in task.metrics},
        lower_is_better=[metric.name for metric in task.metrics if not metric.higher_is_better],
        data=Data(dataset.title, dataset.origin, dataset.official, dataset.sizes, str(dataset.root)),
        environment=environment,
        wall_seconds=time.perf_counter() - started,
        global_batch=outcome.global_batch,
        peak_memory_mb=peak_memory_mb(device),
        footnote=protocol.footnote,
        details=outcome.details,
    )
    ResultStore(request.out / "results").write(result, outcome.raw)


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise UMTError(f"metric '{name}' is {value}: the run diverged, or its test data give nothing to measure")
    return float(value)


def _explain(error: Exception, request: Request) -> str:
    traceback.print_exc()
    if isinstance(error, UMTError):
        # A data-loader worker wraps the error in its traceback; the last line is the error itself.
        return str(error).strip().splitlines()[-1].removeprefix("umt.errors.UMTError: ")
    return f"{type(error).__name__}: {str(error).strip()[:300]} (full trace in {request.log})"


def _remove_checkpoints(work_dir: Path) -> None:
    """Checkpoints serve to resume the job; its result is stored now."""
    for path in work_dir.rglob("*.pth"):
        path.unlink(missing_ok=True)
    shutil.rmtree(work_dir / "cache", ignore_errors=True)
