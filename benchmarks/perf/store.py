"""Commands over stores of 10 to 100,000 results: seconds and memory of each, its imports included."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.perf.row import PerfRow
from benchmarks.results import Data, Environment, Key, Result, ResultStore, result_bytes
from benchmarks.suite.suite import load_suite

COUNTS = (10, 1_000, 10_000, 100_000)  # results
LIMIT_S, LIMIT_MB = 2.0, 200  # limits of each command
COMMAND_LIMITS = {10_000: (5.0, 500)}  # results -> seconds and MB of a command that does not draw figures
PAIRED_RESULTS, ITEMS, PAIRED_LIMIT_S = 180, 5_794, 5.0  # a report with values of as many items as CUB tests
SEEDS = 3
COMMANDS = ("leaderboard", "report")
PROGRAM = """
import sys
from pathlib import Path
from umt.cli import cli
status = Path(sys.argv.pop())
cli(standalone_mode=False)
status.write_text(Path("/proc/self/status").read_text())
"""
ENVIRONMENT = Environment("c0ffee" * 6, False, {"torch": "2.6.0"}, "GPU", "3.11.0", "2026-01-01T00:00:00+00:00")


def measure(_: torch.device) -> list[PerfRow]:
    """Run each command twice, because the first report draws the figures, which takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        by_count = [row for count in COUNTS for row in rows(Path(folder) / str(count) / "results", count)]
        return [*by_count, paired_row(Path(folder) / "paired" / "results", PAIRED_RESULTS)]


def rows(folder: Path, count: int) -> list[PerfRow]:
    """Measure the store's own look-ups, and the commands that read all of it."""
    write_store(folder, count)
    perf_rows = [look_up(folder, count)]
    for command in COMMANDS:
        for run in ("first run", "again"):
            arguments = [command, "--results", str(folder), "--out", str(folder.with_name("out"))]
            seconds, megabytes = cost_of(arguments, folder.with_name("status"))
            note = f"{megabytes:.0f} MB of {LIMIT_MB}"
            perf_rows.append(_row(f"umt {command} of {count} results, {run}", seconds, note))
        if count in COMMAND_LIMITS:
            most_seconds, most_megabytes = COMMAND_LIMITS[count]
            job = f"umt {command} of {count} results, promised"
            perf_rows.append(PerfRow(job, "at most", most_seconds, seconds, limit=1))
            perf_rows.append(PerfRow(job, "at most", most_megabytes, megabytes, limit=1, unit="MB"))
    return perf_rows


def paired_row(folder: Path, count: int) -> PerfRow:
    """Measure a report whose bold takes paired tests, after the run that draws its figures."""
    draw, store = np.random.default_rng(0), ResultStore(folder)
    for result in islice(results(), count):
        store.write(*_with_items(result, draw) if "accuracy" in result.metrics else (result, {}))
    arguments = ["report", "--results", str(folder), "--out", str(folder.with_name("out"))]
    (_, (seconds, megabytes)) = [cost_of(arguments, folder.with_name("status")) for _ in range(2)]
    job = f"umt report of {count} results with values of {ITEMS} items, again"
    return PerfRow(job, "at most", PAIRED_LIMIT_S, seconds, limit=1, note=f"{megabytes:.0f} MB")


def _with_items(result: Result, draw: np.random.Generator) -> tuple[Result, dict[str, np.ndarray]]:
    """Return a result of drawn answers, and these."""
    right, labels = draw.random(ITEMS) < 0.8, np.arange(ITEMS) % 200
    raw = {
        "image": np.array([f"{index:05}.jpg" for index in range(ITEMS)]),
        "labels": labels,
        "predictions": np.where(right, labels, labels + 1),
    }
    return replace(result, metrics={"accuracy": 100 * float(right.mean())}), raw


def look_up(folder: Path, count: int) -> PerfRow:
    """Measure the look-ups of a restarted suite: list all results, and check those of 1 000 jobs."""
    store, keys = ResultStore(folder), [result.key for result in islice(results(), 1000)]
    started = time.process_time()
    names = store.paths()
    stored = sum(store.has(key) for key in keys)
    seconds, note = time.process_time() - started, f"{len(names)}, {stored} done"
    return _row(f"list {count} results, look up 1000 jobs", seconds, note)


def write_store(folder: Path, count: int) -> None:
    """Write so many results of a store, as plain files."""
    store = ResultStore(folder)
    for result in islice(results(), count):
        path = store.path(result.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(result_bytes(asdict(result)))


def results() -> Iterator[Result]:
    """Yield results without end: every column of the paper suite in three seeds, backbone after backbone."""
    draw, columns, number = random.Random(0), load_suite("paper").measured, 0
    while True:
        number += 1
        for column in columns:
            for seed in range(SEEDS):
                names = (column.task, column.dataset, column.protocol_name)
                key = Key(f"backbone {number}", f"{number:064x}", *names, "0123456789ab", "f" * 16, seed)
                metrics = {column.metric: draw.uniform(50, 90)}
                data = Data(column.dataset, "", True, {"train": 1000, "test": 1000}, f"data/{column.dataset}")
                details = {"class_iou": dict.fromkeys(map(str, range(150)), 0.123456789)}
                yield Result(
                    key, "timm:resnet50", "resnet50", "paper", 1, metrics, {}, [], data, ENVIRONMENT, 1.5,
                    details=details if column.task == "ade20k_linear" else {},
                )  # fmt: skip


def cost_of(arguments: list[str], status: Path) -> tuple[float, float]:
    """Return CPU seconds and the largest memory, in MB, of a `umt` command in its own process (Linux).

    The process writes its own /proc status to a file: the memory that wait4 reports includes its parent's.
    """
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments, str(status)], stdout=subprocess.DEVNULL)
    _, ended, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(ended)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return usage.ru_utime + usage.ru_stime, int(peak.split()[1]) / 1024


def _row(job: str, seconds: float, note: str) -> PerfRow:
    return PerfRow(job, "at most", LIMIT_S, seconds, limit=1, note=note)
