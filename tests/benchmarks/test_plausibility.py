"""Statements of a result that cannot be true."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.plausibility import faults
from benchmarks.results import Data, Environment, Key, Result
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.registry import get_task

PROTOCOL = load_protocol("knn", "paper", get_task("knn").settings)
SIZES = {"train": 5994, "test": 5794}
METRICS = {"top1": 100 * 4000 / 5794, "top5": 100 * 5000 / 5794, "mean_per_class": 70.0, "rankme": 90.0, "erank": 80.0}


def sound(**changes: Any) -> Result:
    """A result of k-NN on the official CUB; changes are fields of Result, Key, Data or Environment."""
    task = get_task("knn")
    key: dict[str, Any] = {
        "backbone": "mine",
        "weights_hash": "a" * 64,
        "task": "knn",
        "dataset": "cub",
        "protocol": "paper",
        "protocol_hash": PROTOCOL.hash,
        "data_fingerprint": "f" * 16,
        "seed": 0,
    }
    data: dict[str, Any] = {"title": "CUB", "origin": "", "official": True, "sizes": SIZES, "root": "d"}
    environment: dict[str, Any] = {
        "commit": None,
        "dirty": None,
        "packages": {},
        "device": "cpu",
        "python": "3.11.0",
        "started": "2026-01-01T00:00:00+00:00",
    }
    rest: dict[str, Any] = {
        "protocol_version": PROTOCOL.version,
        "metrics": {metric.name: METRICS.get(metric.name, 50.0) for metric in task.metrics},
        "units": {metric.name: metric.unit for metric in task.metrics},
        "lower_is_better": [metric.name for metric in task.metrics if not metric.higher_is_better],
        "wall_seconds": 1.0,
        "details": {"items": {"top1": 5794, "top5": 5794}, "interval": {"low": 68.0, "high": 70.0}},
    }
    for part in (key, data, environment, rest):
        part.update({name: changes.pop(name) for name in list(changes) if name in part})
    return Result(
        key=Key(**key),
        spec="timm:resnet50",
        architecture="resnet50",
        suite="paper",
        data=Data(**data),
        environment=Environment(**environment),
        **rest,
        **changes,
    )


def test_a_sound_result_has_no_fault() -> None:
    assert list(faults(sound())) == []
    assert list(faults(sound(official=False, sizes={"train": 9, "test": 7}, details={}))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights_hash": "A" * 64}, "weights_hash is 'AAA"),
        ({"data_fingerprint": "../../x"}, "data_fingerprint is '../../x', expected 16 hex digits"),
        ({"seed": -1}, "seed is -1"),
        ({"dirty": True}, "uncommitted changes"),
        ({"wall_seconds": 0.0}, "wall_seconds is 0"),
        ({"started": "2999-01-01T00:00:00+00:00"}, "in the future"),
        ({"started": "yesterday"}, "expected a time"),
        ({"task": "knnn"}, "unknown task 'knnn'. Did you mean knn?"),
        ({"dataset": "folder:/etc"}, "unknown data set 'folder:/etc'"),
        ({"dataset": "cub?draw=published"}, "has no variants"),
        ({"protocol": "/etc/x.yaml"}, "unknown protocol of task 'knn' '/etc/x.yaml'"),
        ({"protocol_hash": "0" * 12}, f"here version {PROTOCOL.version} with hash '{PROTOCOL.hash}'"),
        ({"protocol_version": PROTOCOL.version + 1}, "measure again"),
        ({"metrics": {"top1": 50.0}}, "expected ["),
        ({"metrics": {**sound().metrics, "mean_per_class": 100.5}}, "'mean_per_class' is 100.5%, expected 0 to 100"),
        ({"metrics": {**sound().metrics, "top5": -1.0}}, "metric 'top5' is -1%"),
        ({"metrics": {**sound().metrics, "top1": 69.04}}, "of 5794 items, and no whole number"),
        ({"lower_is_better": ["top1"]}, "metric 'top1': unit or direction"),
        ({"units": {}}, "metric 'top5': unit or direction"),
        ({"details": {"interval": {"low": 1.0, "high": 2.0}}}, "interval 1.0 to 2.0 does not hold the value 69.0"),
        ({"details": {"interval": {"low": "x"}}}, "interval 'x' to None"),
        ({"sizes": {"train": 5994, "test": 5000}, "details": {}}, "'test' has 5,000 items, the official CUB-200"),
        ({"sizes": {"train": 5994}}, "splits are ['train']"),
        ({"sizes": {"train": 5994, "test": 5794, "x": 1}}, "expected those of CUB-200-2011"),
        ({"official": False, "sizes": {"train": 9, "test": 10}}, "'top1' is over 5,794 items, split 'test' has 10"),
    ],
)
def test_a_fault_is_a_line(changes: dict[str, Any], said: str) -> None:
    lines = list(faults(sound(**changes)))
    assert any(said in line for line in lines), lines
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("value", [70.0, 1e300])
def test_depth_is_at_most_as_far_as_its_data_set(value: float) -> None:
    result = sound(task="nyuv2_depth", dataset="nyuv2", metrics={"rmse": value})
    assert any(f"metric 'rmse' is {value:g}m, expected 0 to" in line for line in faults(result))
