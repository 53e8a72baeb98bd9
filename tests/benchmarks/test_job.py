"""One job: it belongs to its key, and runs once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.job import Request, run_job
from benchmarks.plan import Options
from benchmarks.preflight import make_plan
from benchmarks.results import ResultStore
from benchmarks.suite import load_suite
from umt.backbones.label import read_name


@pytest.fixture
def request_of(small_suite: Callable[..., object], tmp_path: Path) -> Request:
    small = small_suite()
    spec = (read_name("tiny=timm:test_resnet?pretrained=false"),)
    options = Options(load_suite(str(small.file)), spec, small.data_root, {}, tmp_path / "out", (), 1, "cpu")
    return make_plan(options).requests()[0]


def test_a_job_that_has_a_result_is_not_run_again(request_of: Request) -> None:
    assert run_job(request_of).status == "done"
    path = ResultStore(request_of.out / "results").path(request_of.key)
    written = path.stat().st_mtime_ns
    assert run_job(request_of).status == "done"
    assert path.stat().st_mtime_ns == written


def test_two_processes_do_not_run_the_same_job(request_of: Request) -> None:
    request_of.work_dir.mkdir(parents=True)
    with FileLock(request_of.work_dir / "lock"):
        assert run_job(request_of).status == "elsewhere"


def test_weights_that_changed_since_the_plan_are_refused(request_of: Request) -> None:
    report = run_job(replace(request_of, spec="timm:test_vit?pretrained=false"))
    assert (report.status, "weights have changed" in report.message) == ("failed", True)


def test_a_protocol_that_changed_since_the_plan_is_refused(request_of: Request) -> None:
    Path(request_of.protocol).write_text("version: 2\nabout: test\n")
    report = run_job(request_of)
    assert (report.status, "has changed since the run was planned" in report.message) == ("failed", True)


def test_checkpoints_of_a_finished_job_are_gone_and_those_of_a_failed_one_stay(request_of: Request) -> None:
    checkpoint = request_of.work_dir / "resume.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert run_job(replace(request_of, device="quantum")).status == "failed"
    assert checkpoint.exists()
    run_job(request_of)
    assert not checkpoint.exists()


def test_jobs_share_the_cache_beside_their_results_or_the_one_that_is_named(
    request_of: Request, tmp_path: Path
) -> None:
    assert request_of.cache_dir == request_of.out / "cache"
    assert replace(request_of, cache=tmp_path / "other").cache_dir == tmp_path / "other"
