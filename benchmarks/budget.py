"""Device hours and disk of a suite: what its jobs do to images, times what an image costs on this machine."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.plan import Options
from benchmarks.preflight import chosen_columns, seeds_of
from benchmarks.protocols import load_protocol
from benchmarks.rehearsal import rehearse
from benchmarks.results import ResultStore, job_title
from benchmarks.suite import Column
from benchmarks.tasks.registry import get_task
from benchmarks.workload import Workload, workload
from umt.backbones import create_backbone
from umt.backbones.label import split_label
from umt.data.registry import Dataset, dataset_info, find_dataset
from umt.declarations import read_mapping
from umt.errors import UMTError

DATASET_SIZES = Path(__file__).with_name("dataset_sizes.yaml")
TRAINING_COPIES = 4  # of the weights, in the file that a training resumes from: two moments of AdamW and an average


@dataclass(frozen=True)
class Estimate:
    """What one job takes; `problem` where it could not be rehearsed."""

    title: str
    seconds: float = 0.0
    features: float = 0.0  # bytes that stay in the feature cache
    checkpoint: float = 0.0  # bytes that are there while it runs
    problem: str = ""


def estimates(options: Options, device: torch.device) -> Iterator[Estimate]:
    """One for each job, as soon as its kind has been rehearsed; features that jobs share count in the first."""
    with tempfile.TemporaryDirectory() as folder:
        for text in options.backbones:
            label, spec = split_label(text)
            cached: set[Any] = set()
            for column in chosen_columns(options):
                yield from _estimates_of(column, label, spec, options, device, Path(folder), cached)


def devices_needed(seconds: Sequence[float], devices: int) -> float:
    """Seconds until so many devices are done, each taking the longest job that is left."""
    ends = [0.0] * devices
    for job in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + job)
    return max(ends)


def dataset_gigabytes(names: Iterable[str]) -> dict[str, float]:
    """What official data sets take on disk."""
    published = read_mapping(DATASET_SIZES)
    return {name: float(published[name]) for name in dict.fromkeys(names)}


def measured_seconds(results: Path) -> dict[str, float]:
    """What jobs took that have run, by their title."""
    return {result.key.title: result.wall_seconds for result in ResultStore(results)}


def _estimates_of(
    column: Column, label: str, spec: str, options: Options, device: torch.device, folder: Path, cached: set[Any]
) -> Iterator[Estimate]:
    titles = [
        job_title(label, column.task, column.dataset, column.protocol_name, seed)
        for seed in range(seeds_of(column, options))
    ]
    try:
        task = get_task(column.task)
        settings: Any = load_protocol(task.name, column.protocol, task.settings).settings
        dataset, sizes = _material(column.dataset, options, folder)
        work = workload(column.dataset, settings, sizes)
        rates = rehearse(task, settings, spec, dataset, device, folder / "work" / str(len(list(folder.rglob("*")))))
        backbone = create_backbone(spec)
    except UMTError as error:
        yield from (Estimate(title, problem=str(error)) for title in titles)
        return
    parameters = sum(value.numel() for value in backbone.parameters())
    for title in titles:
        new = work if work.features not in cached else Workload()
        if work.features:
            cached.add(work.features)
        yield Estimate(
            title,
            rates.seconds(new.trained, new.tested),
            features=4.0 * backbone.dim * new.tested if work.features else 0.0,
            checkpoint=4.0 * parameters * TRAINING_COPIES if work.trained else 0.0,
        )


def _material(name: str, options: Options, folder: Path) -> tuple[Dataset, Mapping[str, int]]:
    """Images to rehearse on, and the sizes to count with: of the data set that is there, else embedded and official."""
    try:
        dataset = find_dataset(name, options.data_root, options.data)
        return dataset, dataset.sizes
    except UMTError:
        from umt.data.mini.write import PARTS, write_part

        part = next(part for part in PARTS if part.dataset == name)
        stand_in = Dataset(dataset_info(name), write_part(part, folder))
        return stand_in, stand_in.sizes if options.suite.embedded_data else dataset_info(name).splits
