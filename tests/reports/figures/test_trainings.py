"""Learning curves: those of the jobs' own folders, by backbone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.results import Result, ResultStore
from benchmarks.suite.suite import Column
from reports.figures.trainings import learning_curves
from reports.results.measurement import Measurement
from reports.results.store import read_measurements
from reports.results.trainings import log_of


@pytest.fixture
def trained(store: ResultStore, result: Callable[..., Result], cub: Column) -> Callable[[str, str], list[Measurement]]:
    """A result of a backbone, with the log of its job; returns all results of the store."""

    def make(backbone: str, log: str) -> list[Measurement]:
        path = store.write(result(cub, 80.0, backbone=backbone))
        log_of(path).parent.mkdir(parents=True)
        log_of(path).write_text(log)
        return read_measurements(store.folder)

    return make


def test_a_panel_has_the_losses_of_all_backbones_and_one_has_the_tests(
    trained: Callable[[str, str], list[Measurement]], cub: Column, tmp_path: Path
) -> None:
    trained("ant", '{"step": 10, "loss": 2.123456789, "lr": 1}\n{"step": 20, "loss": 1}\n')
    measurements = trained("bee", '{"step": 10, "loss": 3}\n{"step": 10, "test/accuracy": 40.5}\n{"st')
    assert (tmp_path / "work" / "bee").is_dir()
    sketch = learning_curves((cub, cub), measurements)
    assert sketch is not None
    shows = json.loads(json.dumps(sketch.shows))
    losses, tests = shows["panels"]
    assert (losses["heading"], losses["measure"], tests["measure"]) == ("CUB", "training loss ↓", "acc. (%) ↑")
    assert losses["lines"] == [["ant", [[10, 2.12346], [20, 1]]], ["bee", [[10, 3]]]]
    assert tests["lines"] == [["bee", [[10, 40.5]]]]
    first = sketch.draw(shows).axes[0]
    assert {line.get_label(): list(line.get_ydata()) for line in first.lines} == {"ant": [2.12346, 1], "bee": [3]}


@pytest.mark.parametrize(
    "log", ["", "{", '{"step": 10, "lr": 1}\n', '{"step": 10, "loss": NaN}\n', '{"step": 1e99, "loss": 1}']
)
def test_a_log_without_a_curve_is_no_figure(
    trained: Callable[[str, str], list[Measurement]], cub: Column, log: str
) -> None:
    assert learning_curves((cub,), trained("ant", log)) is None


def test_a_store_that_was_copied_alone_has_no_curves(
    store: ResultStore, result: Callable[..., Result], cub: Column
) -> None:
    store.write(result(cub, 80.0))
    assert learning_curves((cub,), read_measurements(store.folder)) is None


def test_a_log_that_is_a_link_is_not_read(
    trained: Callable[[str, str], list[Measurement]], cub: Column, tmp_path: Path
) -> None:
    measurements = trained("ant", "")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"step": 10, "loss": 2}\n')
    log = log_of(measurements[0].path)
    log.unlink()
    log.symlink_to(elsewhere)
    assert learning_curves((cub,), measurements) is None


def test_backbones_are_shown_by_the_names_that_a_report_gives_them(
    trained: Callable[[str, str], list[Measurement]], cub: Column
) -> None:
    measurements = trained("somebody", '{"step": 10, "loss": 2}\n')
    sketch = learning_curves((cub,), measurements, {"somebody": "Model 1"}.__getitem__)
    assert sketch is not None
    assert "somebody" not in json.dumps(sketch.shows)
    assert sketch.shows["panels"][0]["lines"][0][0] == "Model 1"
