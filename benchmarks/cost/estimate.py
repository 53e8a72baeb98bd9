"""Device hours and disk of a suite: the images that its jobs process, times the cost of an image on this machine."""

from __future__ import annotations

import heapq
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost.rehearsal import Rates, rehearse
from benchmarks.cost.solving import solving_seconds
from benchmarks.cost.workload import Workload, workload
from benchmarks.jobs.forkserver import call, fork_server, threads_of
from benchmarks.jobs.measure import limit_threads
from benchmarks.jobs.preflight import chosen_columns, seeds_of
from benchmarks.results import ResultStore, job_title, read_result
from benchmarks.suite.plan import Options
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import Column
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.backbones.spec import BackboneName
from umt.data.contract import Dataset
from umt.data.registry import dataset_info, find_dataset
from umt.declarations import read_mapping
from umt.errors import UMTError

DATASET_SIZES = Path(__file__).with_name("dataset_sizes.yaml")
TRAINING_COPIES = 4  # weights, two moments of AdamW and an average, in the file that a training resumes from


@dataclass(frozen=True)
class Cost:
    """Result of a rehearsal."""

    work: Workload
    rates: Rates
    solving: float  # seconds
    dim: int
    parameters: int


@dataclass(frozen=True)
class Estimate:
    """Time and disk of a job; `problem` if it could not be rehearsed."""

    title: str
    seconds: float = 0.0
    features: float = 0.0  # bytes that stay in the feature cache
    checkpoint: float = 0.0  # bytes that are on disk while it runs
    problem: str = ""


def estimates(options: Options, device: torch.device, workers: int) -> list[Estimate]:
    """Estimate every job; features that jobs share count in the first.

    Rehearsals run as jobs do: each in its own process, `workers` side by side, with their share of the threads.
    """
    server, asked = fork_server(), _asked(options)
    threads = threads_of(workers)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:

        def cost(one: tuple[BackboneName, Column]) -> Cost | UMTError:
            name, column = one
            try:
                found: Cost = call(
                    server, "benchmarks.cost.estimate:cost_of", column, name, options, device, threads, folder
                )
            except UMTError as error:
                return error
            return found

        costs = list(pool.map(cost, asked))
    cached: set[Any] = set()
    pairs = zip(asked, costs, strict=True)
    return [estimate for one, found in pairs for estimate in _estimates_of(*one, found, options, cached)]


def devices_needed(seconds: Sequence[float], devices: int) -> float:
    """Return the seconds until all of so many devices are done, if each takes the longest job that is left."""
    ends = [0.0] * devices
    for job in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + job)
    return max(ends)


def dataset_gigabytes(names: Iterable[str]) -> dict[str, float]:
    """Return the disk space of official data sets, in gigabytes."""
    published = read_mapping(DATASET_SIZES)
    return {name: float(published[name]) for name in dict.fromkeys(names)}


def measured_seconds(results: Path) -> dict[str, float]:
    """Return the seconds that finished jobs took, by their title; a file that cannot be read counts as none."""
    found = []
    for path in ResultStore(results).paths():
        with suppress(UMTError):
            found.append(read_result(path))
    return {result.key.title: result.wall_seconds for result in found}


def cost_of(
    column: Column, name: BackboneName, options: Options, device: torch.device, threads: int, folder: str
) -> Cost:
    """Rehearse a job in this process, which has no other job."""
    limit_threads(threads)
    warnings.simplefilter("ignore")  # warnings belong in the log of a job, not in the table
    task = get_task(column.task)
    settings: Any = load_protocol(task.name, column.protocol, task.settings).settings
    dataset, sizes = _material(column.dataset, options, Path(folder))
    work = workload(column.dataset, settings, sizes)
    rates = rehearse(task, settings, name, dataset, device, Path(tempfile.mkdtemp(dir=folder)))
    backbone = create_backbone(name.spec, trusted=name.trusted)
    *training, reported = sizes.values()
    classes = len(dataset.class_names) if dataset.sizes == sizes else dataset.info.classes or 0  # a stand-in has few
    solving = solving_seconds(settings, sum(training), reported, backbone.dim, classes, device)
    return Cost(work, rates, solving, backbone.dim, sum(value.numel() for value in backbone.parameters()))


def _asked(options: Options) -> list[tuple[BackboneName, Column]]:
    """Return every backbone with every column."""
    return [(name, column) for name in options.backbones for column in chosen_columns(options)]


def _estimates_of(
    name: BackboneName, column: Column, cost: Cost | UMTError, options: Options, cached: set[Any]
) -> Iterator[Estimate]:
    """Yield an estimate for each seed; `cached` collects the features that need not be computed again."""
    for seed in range(seeds_of(column, options)):
        title = job_title(name.label, column.task, column.dataset, column.protocol_name, seed)
        if isinstance(cost, UMTError):
            yield Estimate(title, problem=str(cost))
            continue
        features = cost.work.features and (name.spec, *cost.work.features)
        new = Workload() if features in cached else cost.work
        if features:
            cached.add(features)
        yield Estimate(
            title,
            cost.rates.seconds(new.trained, new.tested) + cost.solving,
            features=4.0 * cost.dim * new.tested if features else 0.0,
            checkpoint=4.0 * cost.parameters * TRAINING_COPIES if cost.work.trained else 0.0,
        )


def _material(name: str, options: Options, folder: Path) -> tuple[Dataset, Mapping[str, int]]:
    """Return images to rehearse on and sizes to count with; a missing data set has embedded images, official sizes."""
    try:
        dataset = find_dataset(name, options.data_root, options.data)
        return dataset, dataset.sizes
    except UMTError:
        from umt.data.mini.write import PARTS, write_part

        part = next(part for part in PARTS if part.dataset == name)
        stand_in = Dataset(dataset_info(name), write_part(part, folder))
        return stand_in, stand_in.sizes if options.suite.embedded_data else dataset_info(name).splits
