"""Mean and deviation by hand, missing values, and the place of the table in a document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.reproduction.table import collect, insert, markdown, units_of
from benchmarks.results import Result
from benchmarks.suite.suite import Column
from umt.errors import UMTError

LINEAR = Column("linear", "finegrained_linear", "cub", "small", "accuracy")
KNN = Column("k-NN", "knn", "cub", "small", "top1")
UNITS = {"linear": "%", "k-NN": "%"}


def cells(values: dict[str, dict[str, dict[str, float]]], row: str = "UMT") -> list[str]:
    """The row's cells behind its name."""
    line = markdown(values, [row], UNITS).splitlines()[-1]
    return line.removeprefix(f"| {row} | ").removesuffix(" |").split(" | ")


def test_results_become_one_value_for_each_seed_the_newest(make_result: Callable[..., Result]) -> None:
    def judged(backbone: str, accuracy: float, hour: int, **key: str) -> Result:
        key = {"task": "finegrained_linear", "protocol": "small", **key}
        result = make_result({"accuracy": accuracy}, backbone=backbone, **key)
        started = f"2026-01-01T{hour:02}:00:00+00:00"
        return replace(result, environment=replace(result.environment, started=started))

    results = [
        judged("UMT seed 0", 50.0, 2),
        judged("UMT seed 0", 40.0, 1, weights_hash="cd" * 32),
        judged("UMT seed 1", 60.0, 1),
        judged("UMT, dino head seed 0", 10.0, 1),
        judged("UMT seed 1", 99.0, 3, protocol="mini"),
    ]
    assert collect(results, [LINEAR, KNN]) == {
        "UMT": {"linear": {"UMT seed 0": 50.0, "UMT seed 1": 60.0}},
        "UMT, dino head": {"linear": {"UMT, dino head seed 0": 10.0}},
    }


def test_cells_are_mean_and_sample_deviation_and_the_last_one_is_of_the_seeds_means() -> None:
    linear, knn = {"a": 10.0, "b": 20.0, "c": 30.0}, {"c": 10.0, "b": 40.0, "a": 40.0}
    # means of the seeds 25, 30, 20: mean 25, deviation 5; of k-NN 30 and sqrt(300)
    assert cells({"UMT": {"linear": linear, "k-NN": knn}}) == ["20.0 ± 10.0", "30.0 ± 17.3", "25.0 ± 5.0"]


def test_what_was_not_measured_is_never_a_number() -> None:
    assert cells({}) == ["-", "-", "-"]
    assert cells({"UMT": {"linear": {"a": 50.0}}}) == ["50.0", "-", "-"]
    assert cells({"UMT": {"linear": {"a": 50.0}, "k-NN": {"b": 50.0}}}) == ["50.0", "50.0", "-"]


def test_a_single_run_has_no_deviation() -> None:
    assert cells({"UMT": {"linear": {"a": 50.0}, "k-NN": {"a": 40.0}}}) == ["50.0", "40.0", "45.0"]


def test_the_table_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("head\n<!-- vit results -->\nold\n<!-- end of vit results -->\ntail\n")
    insert(path, "| new |", "vit results")
    assert path.read_text() == "head\n<!-- vit results -->\n| new |\n<!-- end of vit results -->\ntail\n"
    path.write_text("no marks")
    with pytest.raises(UMTError, match="marks"):
        insert(path, "| new |", "vit results")


def test_the_mean_is_that_of_percents_and_a_share_has_three_decimals() -> None:
    depth = Column("depth", "nyuv2_depth", "nyuv2", "mini", "delta1")
    units = units_of([LINEAR, KNN, depth])
    assert units == {**UNITS, "depth": ""}
    values = {"UMT": {"linear": {"a": 40.0, "b": 42.0}, "k-NN": {"a": 60.0, "b": 62.0}, "depth": {"a": 0.5, "b": 0.6}}}
    line = markdown(values, ["UMT"], units).splitlines()[-1]
    assert line == "| UMT | 41.0 ± 1.4 | 61.0 ± 1.4 | 0.550 ± 0.071 | 51.0 ± 1.4 |"
