"""The board on which workers take jobs: each once, whoever asks; what is told on it, whole or not at all."""

from __future__ import annotations

import json
import multiprocessing
import threading
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import board as module
from benchmarks.board import Board, new_board
from benchmarks.job import Report

JOBS, THREADS, PROCESSES = 300, 4, 3


def take_all(board: Board, worker: str, go: threading.Barrier) -> None:
    """Take whatever there is from several threads at once, and write down what each had."""

    def take(name: str) -> None:
        go.wait()
        had = list(board.take(name))
        (board.folder.parent / f"{name}.json").write_text(json.dumps(had))

    threads = [threading.Thread(target=take, args=(f"{worker}-{number}",)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_every_job_is_taken_once_by_processes_and_threads_that_race(tmp_path: Path) -> None:
    (tmp_path / "board").mkdir()
    board = Board(tmp_path / "board", JOBS)
    context = multiprocessing.get_context("spawn")
    go = context.Barrier(PROCESSES * THREADS)
    processes = [context.Process(target=take_all, args=(board, str(number), go)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    had = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert len(had) == PROCESSES * THREADS
    assert sum(bool(jobs) for jobs in had.values()) > 1, "there was no race"
    assert sorted(job for jobs in had.values() for job in jobs) == list(range(JOBS))
    assert {index: board.owner(index) for index in range(JOBS)} == {i: name for name, jobs in had.items() for i in jobs}


def test_a_job_is_taken_when_it_is_asked_for_and_not_before(tmp_path: Path) -> None:
    board = Board(tmp_path, 5)
    assert list(islice(board.take("a"), 2)) == [0, 1]
    assert board.look() == ({0, 1}, set())
    assert list(board.take("b")) == [2, 3, 4]


def test_nothing_can_be_taken_after_the_run(tmp_path: Path) -> None:
    with new_board(tmp_path, 3) as board:
        jobs = board.take("late")
        assert next(jobs) == 0
    assert list(jobs) == list(board.take("too late")) == list(tmp_path.iterdir()) == []


def test_runs_have_boards_of_their_own(tmp_path: Path) -> None:
    with new_board(tmp_path, 1) as first, new_board(tmp_path, 1) as second:
        assert list(first.take("a")) == list(second.take("b")) == [0]


def test_a_report_arrives_as_it_was_and_a_job_with_one_is_taken(tmp_path: Path) -> None:
    board = Board(tmp_path, 2)
    board.end(1, Report("failed", "ä: 'no'", 2.5))
    assert board.look() == ({1}, {1})
    assert board.report(1) == Report("failed", "ä: 'no'", 2.5)


def test_progress_is_noted_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    board = Board(tmp_path, 2)
    assert board.progress(0) is None
    for done, seconds, seen in ((1, 0, 1), (2, 0.5, 1), (3, 1.1, 3)):
        clock[0] = 100 + seconds
        board.advance(0, done, 9, "images")
        assert board.progress(0) == (seen, 9, "images")
    board.advance(1, 7, 9, "another job")
    assert board.progress(1) == (7, 9, "another job")


def test_a_note_that_is_half_written_is_none(tmp_path: Path) -> None:
    board = Board(tmp_path, 1)
    board.advance(0, 3, 9, "bilder")
    (note,) = tmp_path.glob("*.progress")
    whole = note.read_bytes()
    for length in range(len(whole)):
        note.write_bytes(whole[:length])
        assert board.progress(0) is None
    note.write_bytes(whole)
    assert board.progress(0) == (3, 9, "bilder")


def test_a_note_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    Board(tmp_path / "gone", 1).advance(0, 1, 2, "images")


def test_a_linked_note_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("[1, 2, 3]")
    (tmp_path / "0.progress").symlink_to("target")
    board = Board(tmp_path, 1)
    board.advance(0, 1, 2, "x")
    assert board.progress(0) is None
    assert (tmp_path / "target").read_text() == "[1, 2, 3]"
