"""`umt status`: runs that go on, have ended, are silent or gone, as their folder tells."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import umt
from benchmarks.cli.status import status
from benchmarks.jobs.status import JobState, RunState
from umt.errors import MissingFileError, UMTError

NOW = time.time()
JOBS = (
    JobState("a · knn · cub", "knn", "done", seconds=100),
    JobState("a · knn · aircraft", "knn", "running", 32, 190, "65 img/s", began=NOW - 40),
    JobState("a · [b] · cub", "knn", "failed", text="image cannot be decoded", seconds=3),
    JobState("b · knn · cub", "knn", "waiting"),
)
RUN = RunState("paper", "node7", 42, NOW - 7300, NOW - 12, ended=False, jobs=JOBS)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "time", lambda: NOW)

    def tell(*runs: RunState, arguments: tuple[str, ...] = ("out",)) -> str:
        folder = tmp_path / "out" / "status"
        folder.mkdir(parents=True)
        for index, run in enumerate(runs):
            (folder / f"{index}.json").write_text(json.dumps(asdict(run)))
        result = CliRunner().invoke(status, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    return tell


def test_a_run_that_goes_on(told: Callable[..., str]) -> None:
    """A job of 100 s that began 40 s ago and one that waits: 160 s on one worker."""
    lines = told(RUN).splitlines()
    assert lines[0] == "paper on node7 (process 42), began 2 h 1 min ago, last sign 12 s ago"
    assert lines[1] == "  4 jobs: 1 done, 1 running, 1 failed, 1 waiting; about 3 min left"
    assert lines[2] == "  failed     a · [b] · cub: image cannot be decoded"
    assert lines[3] == "  running    a · knn · aircraft  32/190, 65 img/s (40 s)"
    assert len(lines) == 4


def test_without_a_done_job_of_a_task_no_time_is_told(told: Callable[..., str]) -> None:
    other = replace(JOBS[3], task="fewshot")
    assert "left" not in told(replace(RUN, jobs=(*JOBS, other)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ended": True}, "ended 12 s ago"),
        ({"changed": NOW - 1000}, "last sign 17 min ago; it may hang, or be gone"),
        ({"host": platform.node(), "process": os.getpid()}, "last sign 12 s ago\n"),
        ({"host": platform.node(), "process": 2**22 + 1}, "its process is gone, the same command goes on"),
    ],
)
def test_signs_of_life(told: Callable[..., str], changes: dict[str, Any], words: str) -> None:
    assert words in told(replace(RUN, **changes))


def test_the_last_run_and_those_that_go_on_are_told(told: Callable[..., str]) -> None:
    ended = replace(RUN, ended=True, suite="old", changed=NOW - 5000)
    text = told(ended, RUN, replace(RUN, suite="other", changed=NOW - 50))
    assert [line.split()[0] for line in text.splitlines() if " on " in line] == ["paper", "other"]


def test_a_run_notes_its_jobs(small_suite: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    suite = small_suite(good="ok", bad="raise")
    options = {"suite": str(suite.file), "data_root": suite.data_root, "device": "cpu", "workers": 0, "quiet": True}
    with pytest.warns(UserWarning, match="left out: .*this task always fails"):
        umt.evaluate("timm:test_resnet?pretrained=false", **options, out=tmp_path / "runs" / "tiny")
    text = CliRunner().invoke(status, [], catch_exceptions=False).output
    assert "2 jobs: 1 done, 1 failed" in text
    assert "failed     test_resnet" in text
    assert ", ended " in text


def test_a_folder_without_runs_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no run has noted its state there; name the --out folder of `umt run`"):
        CliRunner().invoke(status, [str(tmp_path)], catch_exceptions=False)
    (tmp_path / "status").mkdir()
    (tmp_path / "status" / "a.json").write_text('{"suite": 3}')
    with pytest.raises(UMTError, match=r"a\.json: field 'host' is missing"):
        CliRunner().invoke(status, [str(tmp_path)], catch_exceptions=False)
