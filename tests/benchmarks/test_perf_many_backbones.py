"""The rehearsal of many backbones runs, with few of them and in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.perf.many_backbones import SUITE, Overhead, run_suite, specs
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.registry import BUILT_IN


@pytest.mark.slow
def test_two_backbones_do_a_task_and_are_found_done(tmp_path: Path) -> None:
    found = run_suite(specs(2), ["knn"], 2, tmp_path, Console(quiet=True))
    assert (found.jobs, found.done) == (2, 2)
    assert 0 < found.in_jobs < 2 * found.running
    assert str(found).startswith("2 jobs, 2 done: ")


def test_overhead_is_what_is_spent_beside_jobs() -> None:
    found = Overhead(jobs=10, done=10, planning=1, running=30, in_jobs=40, replanning=1, workers=2)
    assert found.overhead == pytest.approx(2)


def test_every_task_without_a_text_encoder_is_in_it() -> None:
    assert {column.task for column in load_suite(str(SUITE)).measured} == set(BUILT_IN) - {"zeroshot", "captions"}


def test_backbones_are_called_apart() -> None:
    assert len({text.partition("=")[0] for text in specs(20)}) == len(set(specs(20))) == 20
