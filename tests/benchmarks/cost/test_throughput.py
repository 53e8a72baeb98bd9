"""The speed of a backbone: from results that fit, else from a few forwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.cost import throughput
from benchmarks.cost.throughput import readable_results, seconds_per_gmac
from benchmarks.environment import describe
from benchmarks.results import Result, ResultStore
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.throughput import Speed, ThroughputSettings
from umt.backbones import Backbone, create_backbone

CPU = torch.device("cpu")
MINI = load_protocol("throughput", "mini", ThroughputSettings).settings
GIVEN = {"images_per_second": 8.0, "gmacs": 0.5, "parameters": 1.0}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return create_backbone("timm:test_resnet?pretrained=false")


@pytest.fixture
def result(make_result: Callable[..., Result], backbone: Backbone) -> Result:
    """A result of this backbone and this machine: 4 * 10^9 multiply-adds a second."""
    given = make_result(GIVEN, task="throughput", weights_hash=backbone.weights_hash())
    environment = replace(given.environment, device=describe(CPU).device)
    return replace(given, environment=environment, details={"precision": "fp32", "threads": torch.get_num_threads()})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[ThroughputSettings]:
    """The settings of each measurement, none of which takes time."""
    settings: list[ThroughputSettings] = []

    def measure(backbone: Backbone, given: ThroughputSettings, device: torch.device) -> object:
        settings.append(given)
        return Speed(given.resolution, given.precision, [2.0], given.batch, gmacs=1.0, memory=0)

    monkeypatch.setattr(throughput, "measure_speed", measure)
    return settings


def test_a_result_of_this_backbone_and_machine_counts(
    backbone: Backbone, result: Result, measured: list[ThroughputSettings]
) -> None:
    assert seconds_per_gmac(backbone, ["fp32"], MINI, CPU, [result]) == {"fp32": 0.25}
    faster = replace(result, metrics={**GIVEN, "images_per_second": 800.0})
    assert seconds_per_gmac(backbone, ["fp32"], MINI, CPU, [result, faster]) == {"fp32": 0.25}, "the first counts"
    assert not measured


@pytest.mark.parametrize(
    "change",
    [
        {"details": {"precision": "bf16", "threads": torch.get_num_threads()}},
        {"details": {"precision": "fp32", "threads": 99}},
        {"details": {}},
        {"details": {"precision": "fp32", "threads": torch.get_num_threads(), "batch": 1}},
        {"details": {"precision": "fp32", "threads": torch.get_num_threads(), "compiled": True}},
        {"metrics": {**GIVEN, "gmacs": 0.0}},
        {"metrics": {"images_per_second": 8.0}},
    ],
)
def test_a_result_that_does_not_fit_is_measured_again(
    backbone: Backbone, result: Result, measured: list[ThroughputSettings], change: dict[str, object]
) -> None:
    others = [
        replace(result, **change),  # type: ignore[arg-type]
        replace(result, key=replace(result.key, weights_hash="ab" * 32)),
        replace(result, key=replace(result.key, task="knn")),
        replace(result, environment=replace(result.environment, device="another")),
    ]
    assert seconds_per_gmac(backbone, ["fp32"], MINI, CPU, others) == {"fp32": 2.0 / 8}
    (settings,) = measured
    assert (settings.precision, settings.batch) == ("fp32", 8), "at most eight images on a CPU"
    assert settings.warmup + settings.forwards < MINI.warmup + MINI.forwards


def test_a_measurement_is_that_of_the_task(backbone: Backbone) -> None:
    small = replace(MINI, resolution=32)
    speeds = seconds_per_gmac(backbone, ["fp32", "bf16"], small, CPU, [])
    assert speeds.keys() == {"fp32", "bf16"}
    assert all(0 < seconds < 60 for seconds in speeds.values())


def test_a_damaged_file_is_left_out(tmp_path: Path, result: Result) -> None:
    ResultStore(tmp_path / "one").write(result)
    path = ResultStore(tmp_path / "two").write(replace(result, key=replace(result.key, seed=1)))
    path.write_text("{")
    assert [each.key.seed for each in readable_results([tmp_path / "none", tmp_path / "two", tmp_path / "one"])] == [0]
