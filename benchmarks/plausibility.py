"""Faults of a result that is sound as a file, but cannot be true: for results that others send."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

from benchmarks.results import INTERVAL, Environment, Key, Result
from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks.contract import Metric, Task
from benchmarks.tasks.registry import get_task, task_names
from umt.data.contract import DatasetInfo
from umt.data.registry import dataset_info, dataset_names
from umt.errors import UMTError, unknown_name
from umt.text import brief

DIGITS = {"weights_hash": 64, "protocol_hash": 12, "data_fingerprint": 16}
COUNTED = ("top1", "top5")  # shares of all items: whole numbers of them
ROUNDING = 0.1  # items; a share in single precision is off by less up to a million items
CLOCKS = timedelta(days=1)  # by which clocks and time zones may differ


def faults(result: Result) -> Iterator[str]:
    """Yield a line for each statement of a result that cannot be true, or that this version does not know."""
    yield from _digit_faults(result.key)
    yield from _environment_faults(result.environment, result.wall_seconds)
    try:
        task, info = known_task(result.key.task), known_dataset(result.key.dataset)
    except UMTError as error:
        yield str(error)
        return
    yield from _protocol_faults(result, task)
    yield from _metric_faults(result, task, info)
    yield from _size_faults(result, info)


@cache  # entry points are looked up anew for each name
def known_task(name: str) -> Task:
    """Return a task by a name out of a file. Raises UMTError if it is unknown."""
    if name not in task_names():
        raise unknown_name("task", name[:60], task_names())
    return get_task(name)


@cache
def known_dataset(name: str) -> DatasetInfo:
    """Return a data set by a name out of a file, which may be no folder. Raises UMTError if it is unknown."""
    if name.partition("?")[0] not in dataset_names():
        raise unknown_name("data set", name[:60], dataset_names())
    return dataset_info(name)


def known_metric(task: Task, name: str) -> Metric:
    """Return a metric of a task. Raises UMTError if the task does not declare it."""
    metrics = {metric.name: metric for metric in task.metrics}
    if name not in metrics:
        raise unknown_name(f"metric of task '{task.name}'", name[:60], metrics)
    return metrics[name]


def value_fault(metric: Metric, value: float, info: DatasetInfo) -> str | None:
    """Return the fault of a value outside the range of its metric."""
    highest = info.depth_range[1] if metric.unit == "m" and info.depth_range else None
    highest = 100.0 if metric.unit == "%" else highest
    if (value < 0 and not metric.signed) or (highest is not None and value > highest):
        return (
            f"metric '{metric.name}' is {value:g}{metric.unit}, expected 0 to {'more' if highest is None else highest}"
        )
    return None


def _digit_faults(key: Key) -> Iterator[str]:
    for name, length in DIGITS.items():
        if not re.fullmatch(rf"[0-9a-f]{{{length}}}", getattr(key, name)):
            yield f"{name} is {brief(getattr(key, name))}, expected {length} hex digits"
    if key.seed < 0:
        yield f"seed is {key.seed}, expected 0 or more"


def _environment_faults(environment: Environment, seconds: float) -> Iterator[str]:
    if environment.dirty:
        yield "measured by code with uncommitted changes; commit them and measure again"
    if seconds <= 0:
        yield f"wall_seconds is {seconds:g}, expected more than 0"
    try:
        started = datetime.fromisoformat(environment.started)
        if started.astimezone(UTC) > datetime.now(UTC) + CLOCKS:
            yield f"started is {brief(environment.started)}, which is in the future"
    except (ValueError, OverflowError):
        yield f"started is {brief(environment.started)}, expected a time as ISO 8601 has it"


def _protocol_faults(result: Result, task: Task) -> Iterator[str]:
    key = result.key
    if key.protocol not in protocol_names(task.name):
        yield str(unknown_name(f"protocol of task '{task.name}'", key.protocol[:60], protocol_names(task.name)))
        return
    expected = _current(task.name, key.protocol)
    if (result.protocol_version, key.protocol_hash) != expected:
        yield (
            f"protocol {task.name}/{key.protocol} is version {result.protocol_version} with hash "
            f"{brief(key.protocol_hash)}, here version {expected[0]} with hash '{expected[1]}'; measure again"
        )


@cache
def _current(task: str, name: str) -> tuple[int, str]:
    """Return version and hash of a protocol that ships; thousands of results share a few."""
    protocol = load_protocol(task, name, get_task(task).settings)
    return protocol.version, protocol.hash


def _metric_faults(result: Result, task: Task, info: DatasetInfo) -> Iterator[str]:
    declared = {metric.name: metric for metric in task.metrics}
    if result.metrics.keys() != declared.keys():
        yield f"metrics are {brief(sorted(result.metrics))}, expected {sorted(declared)}"
    for name in declared.keys() & result.metrics.keys():
        metric, value = declared[name], result.metrics[name]
        if (result.units.get(name), name not in result.lower_is_better) != (metric.unit, metric.higher_is_better):
            yield f"metric '{name}': unit or direction is not that of task '{task.name}'"
        fault = value_fault(metric, value, info) or _share_fault(name, value, _count(result, name))
        if fault:
            yield fault
    yield from _interval_faults(result)


def _share_fault(name: str, value: float, count: int | None) -> str | None:
    """Return the fault of a share of items that is no whole number of them."""
    hits = value / 100 * (count or 0)
    if name in COUNTED and abs(hits - round(hits)) > ROUNDING:
        return f"metric '{name}' is {value:g}%, which is {hits:.2f} of {count} items, and no whole number"
    return None


def _interval_faults(result: Result) -> Iterator[str]:
    interval, first = result.details.get(INTERVAL), next(iter(result.metrics.values()), None)
    if isinstance(interval, Mapping) and first is not None:
        low, high = interval.get("low"), interval.get("high")
        if not (isinstance(low, int | float) and isinstance(high, int | float) and low <= first <= high):
            yield f"interval {brief(low)} to {brief(high)} does not hold the value {first:g}"


def _size_faults(result: Result, info: DatasetInfo) -> Iterator[str]:
    """Yield what contradicts the official sizes, or the sizes that the result states itself."""
    sizes, reported = result.data.sizes, info.roles.report
    if reported not in sizes or not sizes.keys() <= info.splits.keys():
        yield f"splits are {brief(sorted(sizes))}, expected those of {info.title}: {sorted(info.splits)}"
    for split in sizes.keys() & info.splits.keys():
        official = info.splits[split]
        if sizes[split] <= 0 or (result.data.official and official and sizes[split] != official):
            yield f"split '{split}' has {sizes[split]:,} items, the official {info.title} {official:,}"
    for name in result.metrics if info.kind != "classification" else COUNTED:  # few-shot counts episodes
        count = _count(result, name)
        if count is not None and not 0 < count <= sizes.get(reported, 0):
            yield f"metric '{name}' is over {count:,} items, split '{reported}' has {sizes.get(reported, 0):,}"


def _count(result: Result, metric: str) -> int | None:
    counts = result.details.get("items")
    count = counts.get(metric) if isinstance(counts, Mapping) else None
    return count if isinstance(count, int) else None
