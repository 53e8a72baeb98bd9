"""Device hours and disk of a suite: the work that its tasks declare, at the measured speed of each backbone."""

from __future__ import annotations

import heapq
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost.throughput import readable_results, seconds_per_gmac
from benchmarks.jobs.forkserver import call, fork_server, threads_of
from benchmarks.jobs.measure import limit_threads
from benchmarks.jobs.preflight import chosen_columns, seeds_of
from benchmarks.results import Result, job_title
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.protocols import Protocol, load_protocol
from benchmarks.suite.suite import Column
from benchmarks.tasks.registry import get_task
from benchmarks.tasks.throughput import ThroughputSettings
from benchmarks.tasks.workload import Passes, Workload, pass_gmacs
from umt.backbones import Backbone, create_backbone
from umt.backbones.spec import BackboneName
from umt.data.registry import dataset_info, find_dataset
from umt.errors import DeclarationError, UMTError, first_line
from umt.training.precision import pick_precision

TRAINING_COPIES = 4  # weights, two moments of AdamW and an average, in the file that a training resumes from
# The range of a job, set by real ones (docs/results.md): shares of the time that its multiply-adds take at the speed of
# the backbone's forward. A backward may cost more or less than two forwards, a head run faster or slower.
LOW_FACTOR, HIGH_FACTOR = 0.5, 2.0
EXTRA_SECONDS = 15.0  # seconds more, at most: the start of a job, and what follows its features
# seconds of a core for a pixel that is decoded and augmented, if that takes longer than the device
SECONDS_A_PIXEL = 2e-7
Counts = tuple[Mapping[str, int], int]  # items in each split of a data set, and classes


@dataclass(frozen=True)
class JobEstimate:
    """Time and disk of a job; `problem` if they are not known."""

    title: str
    low: float = 0.0  # seconds
    high: float = 0.0
    features: float = 0.0  # bytes that stay in the feature cache
    checkpoint: float = 0.0  # bytes that are on disk while it runs
    problem: str = ""


@dataclass(frozen=True)
class Work:
    """The workload of a column, the identity of the data that its features are of, and the precisions of its passes."""

    load: Workload
    data: str
    classes: int
    precisions: set[str]


@dataclass(frozen=True)
class Site:
    """The place of the jobs of a backbone, which is on the meta device: shapes are enough to count."""

    backbone: Backbone
    parameters: int
    device: torch.device
    threads: int
    speed: Mapping[str, float]  # seconds of 10^9 multiply-adds, by precision


def estimates(options: PlanOptions, device: torch.device, workers: int, stores: Sequence[Path]) -> list[JobEstimate]:
    """Estimate every job; features that jobs share count in the first.

    Speeds are those of results in the stores, else measured: one backbone after another, each in a process of its own
    with the threads that a job gets if `workers` run side by side.
    """
    server, threads = fork_server(options.tasks or options.suite.tasks), threads_of(workers)
    speeds = [result for result in readable_results(stores) if result.key.task == "throughput"]
    rows: list[JobEstimate] = []
    for name in options.backbones:
        try:
            rows += call(server, "benchmarks.cost.estimate:estimates_of", name, options, device, threads, speeds)
        except UMTError as error:
            rows += [JobEstimate(title, problem=error.coded) for _, title in _jobs(name, options)]
    return rows


def estimates_of(
    name: BackboneName, options: PlanOptions, device: torch.device, threads: int, speeds: Sequence[Result]
) -> list[JobEstimate]:
    """Estimate the jobs of a backbone in this process, which has no other work."""
    limit_threads(threads)
    warnings.simplefilter("ignore")  # warnings belong in the log of a job, not in the table
    works = _works(options, device)
    precisions = {name for work in works.values() if isinstance(work, Work) for name in work.precisions}
    backbone = create_backbone(name.spec, trusted=name.trusted)
    speed = seconds_per_gmac(backbone, precisions, _protocol(options), device, speeds)
    parameters = sum(value.numel() for value in backbone.parameters())
    site = Site(backbone.to("meta").eval().requires_grad_(False), parameters, device, threads, speed)
    cached: set[object] = set()
    return [_estimate(title, works[column], site, cached) for column, title in _jobs(name, options)]


def devices_needed(seconds: Sequence[float], devices: int) -> float:
    """Return the seconds until all of so many devices are done, if each takes the longest job that is left."""
    ends = [0.0] * devices
    for job in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + job)
    return max(ends)


def dataset_gigabytes(names: Iterable[str]) -> dict[str, float]:
    """Return the disk space of official data sets, in gigabytes; those that declare it."""
    infos = {info.base: info for info in map(dataset_info, names)}
    return {name: info.gigabytes for name, info in infos.items() if info.gigabytes is not None}


def measured_seconds(results: Path) -> dict[str, float]:
    """Return the seconds that finished jobs took, by their title; a file that cannot be read counts as none."""
    return {result.key.title: result.wall_seconds for result in readable_results([results])}


def _jobs(name: BackboneName, options: PlanOptions) -> list[tuple[Column, str]]:
    """Return column and title of each job of a backbone."""
    return [
        (column, job_title(name.label, column.task, column.dataset, column.protocol_name, seed))
        for column in chosen_columns(options)
        for seed in range(seeds_of(column, options))
    ]


def _works(options: PlanOptions, device: torch.device) -> dict[Column, Work | UMTError]:
    """Return the work of each column, or the reason for which it is not known."""
    works: dict[Column, Work | UMTError] = {}
    counts = cache(lambda name: _counts(name, options))
    for column in chosen_columns(options):
        try:
            works[column] = _work(column, counts, device)
        except UMTError as error:
            works[column] = error
    return works


def _work(column: Column, counts: Callable[[str], Counts], device: torch.device) -> Work:
    task = get_task(column.task)
    if task.workload is None:
        raise DeclarationError(f"the cost of task '{task.name}' is unknown: it declares no workload")
    protocol: Protocol[Any] = load_protocol(task.name, column.protocol, task.settings)
    sizes, classes = counts(column.dataset)
    load = task.workload(protocol.settings, sizes)
    passes = (load.trained, load.tested, *(part.passes for part in load.features))
    precisions = {pick_precision(kind_of_pass.precision, device) for kind_of_pass in passes if kind_of_pass.images}
    return Work(load, column.dataset, classes, precisions)


def _counts(name: str, options: PlanOptions) -> Counts:
    """Return the items in each split of a data set, and its classes, as it is there, or as it officially is."""
    try:
        dataset = find_dataset(name, options.data_root, options.data)
        return dataset.sizes, len(dataset.class_names)
    except UMTError:
        info = dataset_info(name)
        return info.splits, info.classes or 0


def _protocol(options: PlanOptions) -> ThroughputSettings:
    """Return the suite's own protocol of throughput, or that of the paper suite."""
    names = [column.protocol for column in options.suite.measured if column.task == "throughput"]
    return load_protocol("throughput", names[0] if names else "paper", ThroughputSettings).settings


def _estimate(title: str, work: Work | UMTError, site: Site, cached: set[object]) -> JobEstimate:
    """Estimate a job; `cached` collects the features that need not be computed again."""
    if isinstance(work, UMTError):
        return JobEstimate(title, problem=work.coded)
    load = work.load
    new = [part for part in load.features if (work.data, part) not in cached]
    cached.update((work.data, part) for part in new)
    try:
        gmacs = load.gmacs(site.backbone)
        forwards = {replace(part, what="") for part in new}  # a pass gives all parts
        counted = [(forward.passes, pass_gmacs(site.backbone, forward.passes)[0]) for forward in forwards]
    except Exception as error:  # every architecture refuses in its own way
        return JobEstimate(title, problem=f"its multiply-adds cannot be counted: {first_line(error)}")
    passes = [(load.trained, gmacs.trained), (load.tested, gmacs.tested), *counted]
    solved = load.solve(site.backbone.dim, work.classes) / 1e9 if load.solve else 0.0
    low, high = _range(passes, solved, site)
    return JobEstimate(
        title,
        low,
        high,
        features=4.0 * site.backbone.dim * sum(part.passes.images for part in new),
        checkpoint=4.0 * site.parameters * TRAINING_COPIES if load.trained.images else 0.0,
    )


def _range(passes: Sequence[tuple[Passes, float]], solved: float, site: Site) -> tuple[float, float]:
    """Return the least and the most seconds of passes, each with the multiply-adds of an image, and of what follows."""
    shown = [(kind_of_pass, gmacs) for kind_of_pass, gmacs in passes if kind_of_pass.images]
    computing = solved * max(site.speed.values(), default=0.0) + sum(
        kind_of_pass.images * gmacs * site.speed[pick_precision(kind_of_pass.precision, site.device)]
        for kind_of_pass, gmacs in shown
    )
    pixels = sum(
        kind_of_pass.images * math.prod(kind_of_pass.fitted(site.backbone.preprocess)) for kind_of_pass, _ in shown
    )
    return LOW_FACTOR * computing, max(HIGH_FACTOR * computing, SECONDS_A_PIXEL * pixels / site.threads) + EXTRA_SECONDS
