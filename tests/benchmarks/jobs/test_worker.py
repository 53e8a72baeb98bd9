"""A job belongs to its key, and runs once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from filelock import FileLock
from torch import Tensor

from benchmarks.jobs.local import LocalExecutor, _output_to
from benchmarks.jobs.preflight import make_plan
from benchmarks.jobs.worker import open_log, run_job
from benchmarks.results import ResultStore
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.request import JobReport, JobRequest, SentProtocol
from benchmarks.suite.suite import load_suite
from umt.backbones import contract
from umt.backbones.contract import hash_tensors
from umt.backbones.spec import read_name
from umt.errors import UMTError


@pytest.fixture
def request_of(small_suite: Callable[..., object], tmp_path: Path) -> JobRequest:
    small = small_suite()
    spec = (read_name("tiny=timm:test_resnet?pretrained=false"),)
    options = PlanOptions(load_suite(str(small.file)), spec, small.data_root, {}, tmp_path / "out", (), 1, "cpu")
    return make_plan(options).requests()[0]


def test_a_job_that_has_a_result_is_not_run_again(request_of: JobRequest) -> None:
    assert run_job(request_of).status == "done"
    path = ResultStore(request_of.out / "results").path(request_of.key)
    written = path.stat().st_mtime_ns
    assert run_job(request_of).status == "done"
    assert path.stat().st_mtime_ns == written


def test_two_processes_do_not_run_the_same_job(request_of: JobRequest) -> None:
    request_of.work_dir.mkdir(parents=True)
    with FileLock(request_of.work_dir / "lock"):
        assert run_job(request_of).status == "elsewhere"


def test_weights_that_changed_since_the_plan_are_refused(request_of: JobRequest) -> None:
    report = run_job(replace(request_of, spec="timm:test_vit?pretrained=false"))
    assert (report.status, "weights have changed" in report.message) == ("failed", True)


def test_a_file_is_hashed_again_only_if_somebody_touched_it(
    small_suite: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, small = tmp_path / "w.pth", small_suite()
    model = timm.create_model("test_resnet", num_classes=0)
    torch.save(model.state_dict(), file)
    names = (read_name(f"tiny=timm:test_resnet?weights={file}"),)
    options = PlanOptions(load_suite(str(small.file)), names, small.data_root, {}, tmp_path / "out", (), 1, "cpu")
    request = make_plan(options).requests()[0]
    hashed: list[int] = []

    def counting(tensors: Mapping[str, Tensor]) -> str:
        hashed.append(len(tensors))
        return hash_tensors(tensors)

    monkeypatch.setattr(contract, "hash_tensors", counting)
    assert (run_job(request).status, len(hashed)) == ("done", 0)
    os.utime(file)
    assert (run_job(replace(request, out=tmp_path / "again")).status, len(hashed)) == ("done", 1)
    torch.save({name: value + 1 for name, value in model.state_dict().items()}, file)
    report = run_job(replace(request, out=tmp_path / "other"))
    assert (report.status, "weights have changed" in report.message) == ("failed", True)


def test_a_job_takes_its_protocol_from_the_plan(request_of: JobRequest) -> None:
    """A file that changes while a suite runs changes no job of it."""
    protocol = request_of.protocol.unpacked()
    settings = replace(protocol.settings, seconds=0.01)
    changed = replace(
        request_of, protocol=SentProtocol.of(replace(protocol, settings=settings, footnote="By the plan."))
    )
    assert run_job(changed).status == "done"
    (result,) = ResultStore(request_of.out / "results")
    assert str(result.footnote).startswith("By the plan.")


def test_checkpoints_of_a_finished_job_are_gone_and_those_of_a_failed_one_stay(request_of: JobRequest) -> None:
    checkpoint = request_of.work_dir / "resume.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert run_job(replace(request_of, device="quantum")).status == "failed"
    assert checkpoint.exists()
    run_job(request_of)
    assert not checkpoint.exists()


def test_jobs_share_the_cache_beside_their_results_or_the_one_that_is_named(
    request_of: JobRequest, tmp_path: Path
) -> None:
    assert request_of.cache_dir == request_of.out / "cache"
    assert replace(request_of, cache=tmp_path / "other").cache_dir == tmp_path / "other"


def ended(request: JobRequest) -> list[JobReport]:
    """The reports of a job that runs in a process of its own."""
    reports: list[JobReport] = []
    executor = LocalExecutor(multiprocessing.get_context("fork"), 1)
    executor.run([request], lambda _: None, lambda *_: None, lambda _, report: reports.append(report))
    return reports


@pytest.mark.parametrize("kind", ["link", "loop", "pipe", "folder"])
def test_a_log_that_is_no_plain_file_is_not_written(request_of: JobRequest, tmp_path: Path, kind: str) -> None:
    target, log = tmp_path / "target", request_of.log
    target.write_text("mine")
    log.parent.mkdir(parents=True)
    make = {"link": lambda: log.symlink_to(target), "loop": lambda: log.symlink_to(log), "folder": log.mkdir}
    make.get(kind, lambda: os.mkfifo(log))()
    with pytest.raises(
        UMTError, match=r"\.log: no log can be written there \(.*\); remove it, or choose another --out"
    ):
        open_log(log)
    with pytest.raises(UMTError, match="no log can be written there"), _output_to(log):
        pass
    (report,) = ended(request_of)
    assert report.status == "failed"
    assert f"{log}: " in report.message
    assert target.read_text() == "mine"


@pytest.mark.parametrize("name", ["logs", "work"])
def test_folders_that_lead_out_of_the_run_are_refused(request_of: JobRequest, tmp_path: Path, name: str) -> None:
    folder = request_of.out / name / request_of.key.stem.split("/")[0]
    folder.parent.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    folder.symlink_to(tmp_path / "outside")
    (report,) = ended(request_of)
    assert (report.status, "lies outside" in report.message) == ("failed", True)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_log_is_gone_on_with(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        with open_log(tmp_path / "logs" / "a.log") as log:
            log.write(text)
    assert (tmp_path / "logs" / "a.log").read_text() == "one\ntwo\n"
