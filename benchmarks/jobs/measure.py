"""The measurement itself: from a request to a finished result, in the process of the job."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.environment import Environment, describe, peak_memory_mb
from benchmarks.results import INTERVAL, Data, Measured, Result
from benchmarks.suite.protocols import Protocol
from benchmarks.suite.request import JobRequest
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.items import bootstrap_interval, item_names, item_scores
from benchmarks.tasks.registry import get_task
from umt.backbones import Backbone, create_backbone
from umt.backbones.build_record import BuildRecord, recorded
from umt.backbones.spec import parse_spec
from umt.backbones.weights import stamp_of
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.errors import ChangedError, NotFiniteError
from umt.training.device import pick_device


def measure(request: JobRequest, progress: Callable[[int, int, str], None], model: Backbone | None = None) -> Measured:
    """Run the task of a request; return its result, and raw values and pictures to lie beside it.

    model: measured in place of the backbone that the request names.

    Raises UMTError if the weights are no longer those of the plan, or if a metric is not finite.
    """
    started = time.perf_counter()
    limit_threads(request.threads)
    torch.manual_seed(request.key.seed)
    device = pick_device(request.device)
    environment = describe(device)
    task = get_task(request.key.task)
    backbone = build_of(request) if model is None else copy.deepcopy(model)  # a task may train it
    _check_unchanged(request, backbone)
    # an object changes, and its features with it
    job = _job(request, backbone.to(device), device, progress, request.cache_dir if model is None else request.cache)
    outcome = task.run(job)
    raw = {**_names_of_items(outcome, job.dataset), **outcome.raw}
    result = _result(request, task, job, outcome, scored_items(outcome.metrics, raw), environment, started)
    return result, {**raw, **_training_draw(job.dataset)}, outcome.pictures


def scored_items(metrics: Iterable[str], raw: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Count the items behind each metric: its own values that are finite, else the values that each item has.

    A metric that leaves no values of single items is not counted.
    """
    lengths = {len(values) for values in raw.values() if values.ndim == 1}
    common = lengths.pop() if len(lengths) == 1 else None
    counts = {name: int(np.isfinite(raw[name]).sum()) if name in raw else common for name in metrics}
    return {name: count for name, count in counts.items() if count is not None}


def _job(
    request: JobRequest,
    backbone: Backbone,
    device: torch.device,
    progress: Callable[[int, int, str], None],
    cache: Path | None,
) -> Job[Any]:
    """Return the job of a request; its features lie in `cache`."""
    return Job(
        backbone,
        Dataset(dataset_info(request.key.dataset), request.data_root),
        request.protocol.unpacked().settings,
        request.key.seed,
        device,
        request.work_dir,
        progress,
        cache,
        request.compiled,
        request.wandb,
    )


def _result(
    request: JobRequest,
    task: Task,
    job: Job[Any],
    outcome: Outcome,
    items: dict[str, int],
    environment: Environment,
    started: float,
) -> Result:
    """Return the result of an outcome, with its origin; `started` is the time at which the job began."""
    protocol, backbone, dataset = request.protocol.unpacked(), job.backbone, job.dataset
    return Result(
        key=request.key,
        spec=request.spec,
        architecture=backbone.architecture,
        suite=request.suite,
        protocol_version=protocol.version,
        metrics=_finite_metrics(task, outcome),
        units={metric.name: metric.unit for metric in task.metrics},
        lower_is_better=[metric.name for metric in task.metrics if not metric.higher_is_better],
        data=Data(dataset.title, dataset.origin, dataset.official, dataset.sizes, str(dataset.root)),
        environment=environment,
        wall_seconds=time.perf_counter() - started,
        global_batch=outcome.global_batch,
        peak_memory_mb=peak_memory_mb(job.device),
        footnote=_footnote(protocol, dataset, request.key.backbone, backbone.notes),
        details={**outcome.details, **_interval(task, outcome, job), "items": items},
        provenance=backbone.provenance,
    )


def _names_of_items(outcome: Outcome, dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the names of the items whose values the outcome holds, if it holds any and does not name them itself."""
    return {"image": item_names(dataset)} if outcome.raw and "image" not in outcome.raw else {}


def _interval(task: Task, outcome: Outcome, job: Job[Any]) -> dict[str, Any]:
    """Return the interval of the first metric over the test items, if their values are there."""
    scores = item_scores(task.metrics[0].name, outcome.raw, job.dataset.info.metric)
    return {INTERVAL: bootstrap_interval(scores, job.seed)} if scores else {}


def build_of(request: JobRequest) -> Backbone:
    """Build the backbone of a request with the facts that the plan has found out."""
    with recorded(BuildRecord(list(request.facts))):
        return create_backbone(request.spec, trusted=request.trusted)


def limit_threads(threads: int) -> None:
    """Limit this process to so many threads of the CPU; 0 changes nothing."""
    if threads:
        torch.set_num_threads(threads)
        threadpool_limits(threads)  # threads of NumPy and SciPy


def _check_unchanged(request: JobRequest, backbone: Backbone) -> None:
    """Check that the weights still match the result's key: a file may be replaced while the suite runs.

    The weights of a file that nobody has touched since the plan are not hashed again.
    """
    touched = request.stamp is None or stamp_of(parse_spec(request.spec)) != request.stamp
    if touched and backbone.weights_hash() != request.key.weights_hash:
        raise ChangedError(f"{request.spec}: its weights have changed since the run was planned; start the run again")
    backbone.known_hash = request.key.weights_hash


def _footnote(protocol: Protocol[Any], dataset: Dataset, label: str, notes: Sequence[str]) -> str | None:
    """Return the footnotes of the protocol, of the variant of the data set, and of the backbone."""
    parts = (protocol.footnote, dataset.info.footnote, *(f"{label}: {note}." for note in notes))
    return " ".join(note for note in parts if note) or None


def _training_draw(dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the names of the images drawn to train on, if a seed splits the data set."""
    if not dataset.info.drawn:
        return {}
    train = dataset.samples(dataset.info.roles.train)
    names = [sample.image.relative_to(dataset.root).as_posix() for sample in train]
    return {"drawn": np.array(names)}


def _finite_metrics(task: Task, outcome: Outcome) -> dict[str, float]:
    values = {metric.name: float(outcome.metrics[metric.name]) for metric in task.metrics}
    for name, value in values.items():
        if not math.isfinite(value):
            raise NotFiniteError(
                f"metric '{name}' is {value}: the run diverged, or its test data give nothing to measure"
            )
    return values
