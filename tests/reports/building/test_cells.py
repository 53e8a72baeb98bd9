"""Mean, deviation and provenance of a cell."""

from __future__ import annotations

import math
import shlex
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.building.cells import loss_cell, measured_cell, quoted_cell
from reports.building.metrics import get_metric
from reports.building.spread import mean_and_deviation
from reports.paper import paper_table


def test_mean_and_sample_deviation_in_closed_form(measurement, cub):
    """Three values a, a + d, a + 2d have mean a + d and sample deviation d."""
    runs = [measurement(cub, 80.0 + 1.5 * seed, seed=seed) for seed in (2, 0, 1)]
    cell = measured_cell(runs, "accuracy", get_metric("accuracy"))
    assert cell.value == pytest.approx(81.5, abs=1e-12)
    assert cell.std == pytest.approx(1.5, abs=1e-12)
    assert (cell.runs, cell.text) == (3, "81.5 ± 1.5")


def test_two_runs_deviate_by_their_distance_over_root_two(measurement, nyu):
    cell = measured_cell([measurement(nyu, 0.3), measurement(nyu, 0.4, seed=1)], "rmse", get_metric("rmse"))
    assert cell.std == pytest.approx(0.1 / math.sqrt(2), abs=1e-12)
    assert cell.text == "0.350 ± 0.071"


def test_one_run_has_no_deviation(measurement, cub):
    cell = measured_cell([measurement(cub, 80.04)], "accuracy", get_metric("accuracy"))
    assert (cell.text, cell.std, cell.runs) == ("80.0", None, 1)


def test_nothing_measured_is_a_dash(measurement, cub):
    missing = measured_cell([measurement(cub, 0, metrics={"top1": 80.0})], "accuracy", get_metric("accuracy"))
    assert (missing.text, missing.value, missing.runs) == ("–", None, 0)
    assert "no metric 'accuracy'" in missing.provenance[0]
    assert measured_cell([], "accuracy", get_metric("accuracy")).text == "–"


def test_provenance_says_how_to_do_it_again(measurement, cub):
    runs = [measurement(cub, 80.0, seed=seed, backbone="It's mine", spec="a b.pth") for seed in (0, 2)]
    again = measured_cell(runs, "accuracy", get_metric("accuracy")).provenance[-1].removeprefix("again: ")
    name, command, *options = shlex.split(again)
    assert (name, command) == ("umt", "run")
    assert dict(zip(options[::2], options[1::2], strict=True)) == {
        "--backbone": "It's mine=a b.pth",
        "--suite": "paper",
        "--tasks": "finegrained_finetune",
        "--data": "cub=d",
        "--seeds": "3",
    }


def test_provenance_names_protocol_data_seeds_and_commit(measurement, cub):
    runs = [measurement(cub, 80.0, seed=3), measurement(cub, 81.0, seed=1)]
    provenance = "\n".join(measured_cell(runs, "accuracy", get_metric("accuracy")).provenance)
    for expected in (
        "paper version 1, hash 0123456789ab",
        "ffff",
        "aaaaaaaaaaaa",
        "c0ffee",
        "2 runs: seed 1 81, seed 3 80",
    ):
        assert expected in provenance


def test_published_value_stands_as_printed():
    cell = quoted_cell(paper_table(3), "0.20")
    assert (cell.text, cell.value) == ("0.20", 0.2)
    assert cell.provenance[0].endswith("table 3 of the paper")
    assert cell.provenance[-1] == "quoted: nobody measured it here"
    assert quoted_cell(paper_table(3), None).value is None


def test_a_loss_names_the_commit_that_distilled_the_student(measurement, cub):
    """Not that of the code which evaluated it; older checkpoints name none."""
    said = [{"code": {"commit": "d1571" * 8, "dirty": True}}, {"code": {"commit": None, "dirty": None}}, {}]
    losses = [(measurement(cub, 80.0, provenance=made, seed=seed), 0.5) for seed, made in enumerate(said)]
    new, unversioned, old = loss_cell(losses, get_metric("rmse")).provenance
    assert "distilled by code commit d1571d1571d1 with uncommitted changes;" in new
    assert "c0ffee" not in new
    assert "distilled by code not under version control;" in unversioned
    assert "distilled by code of no stated commit;" in old


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_mean_and_deviation_are_those_of_exact_fractions(values: list[float]) -> None:
    mean, deviation = mean_and_deviation(values)
    assert mean == pytest.approx(statistics.fmean(values), rel=1e-15)
    assert deviation == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-9)


def test_one_value_has_no_deviation() -> None:
    assert mean_and_deviation([3.5]) == (3.5, None)
