"""Jobs through submitit: as many at a time as were asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import ClusterExecutor
from benchmarks.job import Report, Request
from benchmarks.plan import Options
from benchmarks.preflight import make_plan
from benchmarks.results import ResultStore
from benchmarks.suite import load_suite

SPECS = ("a=timm:test_resnet?pretrained=false", "b=timm:test_vit?pretrained=false")


@pytest.fixture
def requests(small_suite: Callable[..., Any], tmp_path: Path) -> list[Request]:
    """Two backbones, two protocols and two seeds."""
    small = small_suite(first="ok", second="ok")
    options = Options(load_suite(str(small.file)), SPECS, small.data_root, {}, tmp_path / "out", (), 2, "cpu")
    return make_plan(options).requests()


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (3, 3), (None, 8)])
def test_no_more_jobs_than_asked_for_are_submitted(
    requests: list[Request], tmp_path: Path, at_once: int | None, most: int
) -> None:
    """By submitit's executor that runs jobs here, when they are waited for."""
    running: set[str] = set()
    counts: list[int] = []
    reports: list[Report] = []

    def start(request: Request) -> None:
        running.add(request.title)
        counts.append(len(running))

    def end(request: Request, report: Report) -> None:
        running.remove(request.title)
        reports.append(report)

    executor = ClusterExecutor("debug", tmp_path / "cluster", {}, at_once, poll_seconds=0)
    executor.run(requests, start, lambda *_: None, end)
    assert max(counts) == most
    assert [report.status for report in reports] == ["done"] * 8
    assert len(ResultStore(tmp_path / "out" / "results").paths()) == 8


def test_a_job_that_fails_makes_room_for_the_next(requests: list[Request], tmp_path: Path) -> None:
    reports: list[Report] = []
    broken = [replace(request, device="quantum") if request.key.seed else request for request in requests]
    executor = ClusterExecutor("debug", tmp_path / "cluster", {}, 1, poll_seconds=0)
    executor.run(broken, lambda _: None, lambda *_: None, lambda _, report: reports.append(report))
    assert sorted(report.status for report in reports) == ["done"] * 4 + ["failed"] * 4
