"""Jobs through submitit: workers that import once and take jobs until none is left, whatever becomes of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.board import Board
from benchmarks.cluster import ClusterExecutor, _errors_to
from benchmarks.job import Report, Request
from benchmarks.limits import Limits
from benchmarks.plan import Options
from benchmarks.preflight import make_plan
from benchmarks.processes import default_workers, threads_of
from benchmarks.results import ResultStore, read_result
from benchmarks.suite import load_suite
from umt.backbones.label import read_name
from umt.errors import UMTError

pytestmark = pytest.mark.slow

SPECS = ("a=timm:test_resnet?pretrained=false", "b=timm:test_vit?pretrained=false")
Make = Callable[..., Any]


class Told:
    """What an executor tells of the jobs."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.most = 0
        self.reports: dict[str, Report] = {}
        self.progress: list[tuple[int, int, str]] = []

    def start(self, request: Request) -> None:
        assert request.title not in self.running | self.reports.keys(), "a job was taken twice"
        self.running.add(request.title)
        self.most = max(self.most, len(self.running))

    def advance(self, request: Request, *progress: Any) -> None:
        assert request.title in self.running
        self.progress.append(progress)

    def end(self, request: Request, report: Report) -> None:
        self.running.remove(request.title)
        self.reports[request.title] = report

    @property
    def statuses(self) -> list[str]:
        return sorted(report.status for report in self.reports.values())

    def message(self, part: str) -> str:
        """Of the one job with that in its title."""
        (found,) = (report.message for title, report in self.reports.items() if part in title)
        return found


@pytest.fixture
def planned(small_suite: Make, tmp_path: Path) -> Callable[..., list[Request]]:
    """Jobs of two backbones, with a protocol for each behaviour."""

    def plan(seeds: int = 1, **behaviours: str) -> list[Request]:
        small = small_suite(**behaviours)
        options = Options(
            load_suite(str(small.file)),
            tuple(map(read_name, SPECS)),
            small.data_root,
            {},
            tmp_path / "out",
            (),
            seeds,
            "cpu",
        )
        return make_plan(options).requests()

    return plan


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Told]:
    """Run jobs on workers below a folder, where nothing but submitit's files may stay."""

    def all_of(requests: list[Request], kind: str = "local", told: Told | None = None, **options: Any) -> Told:
        told = told or Told()
        executor = ClusterExecutor(kind, tmp_path / "cluster", options.pop("parameters", {}), **options)
        executor.run(requests, told.start, told.advance, told.end)
        assert not told.running
        assert not list((tmp_path / "cluster").glob("board-*"))
        return told

    return all_of


def submissions(folder: Path) -> int:
    return len(list((folder / "cluster").glob("*_submitted.pkl")))


def said_by_jobs(folder: Path, pattern: str) -> list[str]:
    """The first group of a pattern in every log."""
    logs = (folder / "out" / "logs").rglob("*.log")
    return [found for path in logs for found in re.findall(pattern, path.read_text())]


def workers_of(pid: int) -> list[psutil.Process]:
    """Processes below another in which submitit runs a worker."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            found += [process] if "submitit.core._submit" in process.cmdline() else []
    return found


def test_two_workers_import_once_each_and_share_jobs_and_cores(
    planned: Callable[..., list[Request]], run: Callable[..., Told], tmp_path: Path
) -> None:
    requests = planned(seeds=2, first="ok, 0.5", second="ok, 0.5")
    told = run(requests, at_once=2)
    assert told.statuses == ["done"] * 8
    assert told.most <= 2
    assert submissions(tmp_path) == 2
    servers = said_by_jobs(tmp_path, r"server (\d+),")
    assert len(servers) == 8, "a job ran twice"
    assert len(set(servers)) <= 2, "a worker's server, from which all its jobs are forked, imports once"
    assert set(said_by_jobs(tmp_path, r"(\d+) threads")) == {str(threads_of(2))}
    assert at_most_side_by_side(tmp_path / "out" / "results") <= 2


def at_most_side_by_side(results: Path) -> int:
    """Jobs that ran at the same time, by the clocks of the jobs themselves."""
    spans = []
    for path in ResultStore(results).paths():
        end = path.stat().st_mtime
        spans.append((end - read_result(path).wall_seconds, end))
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


@pytest.mark.parametrize(("at_once", "took"), [(1, [4]), (3, [4]), (None, [1, 1, 1, 1])])
def test_workers_without_a_number_take_one_job_each(
    planned: Callable[..., list[Request]],
    run: Callable[..., Told],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int | None,
    took: list[int],
) -> None:
    """By submitit's executor that runs a worker here when it is waited for: else the first takes all there is."""
    takers: list[str] = []
    take = Board.take

    def noted(self: Board, worker: str) -> Iterator[int]:
        for index in take(self, worker):
            takers.append(worker)
            yield index

    monkeypatch.setattr(Board, "take", noted)
    assert run(planned(first="ok", second="ok"), "debug", at_once=at_once).statuses == ["done"] * 4
    assert sorted(Counter(takers).values()) == took


def test_a_job_that_fails_makes_room_for_the_next(
    planned: Callable[..., list[Request]], run: Callable[..., Told]
) -> None:
    told = run(planned(bad="raise", dead="die", good="ok"), "debug", at_once=1)
    assert told.statuses == ["done"] * 2 + ["failed"] * 4
    assert told.most == 1


def test_progress_arrives_while_a_job_runs(planned: Callable[..., list[Request]], run: Callable[..., Told]) -> None:
    told = run(planned(nap="ok, 1.5")[:1], at_once=1)
    assert told.statuses == ["done"]
    assert told.progress[0] == (1, 2, "naps")


def test_limits_are_those_of_a_job(planned: Callable[..., list[Request]], run: Callable[..., Told]) -> None:
    """A worker takes longer than the limit, and none of its jobs but the one that hangs."""
    requests = planned(seeds=2, hang="ok, 300", sound="ok, 3")
    hang, *_ = (request for request in requests if "hang" in request.title)
    sound = [request for request in requests if "sound" in request.title]
    told = run([hang, *sound], at_once=1, limits=Limits(seconds=9))
    assert told.statuses == ["done"] * 4 + ["failed"]
    assert "if the job is sound, type the same command again with more than" in told.message("hang")


def test_a_worker_that_is_killed_loses_its_job_and_no_other(
    planned: Callable[..., list[Request]], run: Callable[..., Told], tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    class Killing(Told):
        def start(self, request: Request) -> None:
            super().start(request)
            if "slow" in request.title:
                wait_for((request.work_dir / "lock").exists)
                (worker,) = workers_of(os.getpid())
                worker.kill()

    requests = planned(slow="ok, 300", good="ok")
    (slow, *_), good = ([one for one in requests if name in one.title] for name in ("slow", "good"))
    told = run([good[0], slow, good[1]], told=Killing(), at_once=1)
    assert told.statuses == ["done", "done", "failed"]
    message = told.message("slow")
    assert "its worker ended without a report (submitit's state: FINISHED, log: " in message
    assert str(tmp_path / "cluster") in message
    assert "the same command goes on" in message
    assert submissions(tmp_path) == 2, "another worker came in its place"


def test_workers_that_cannot_start_end_the_run(
    planned: Callable[..., list[Request]], run: Callable[..., Told], tmp_path: Path
) -> None:
    told = run(planned(good="ok"), parameters={"local_setup": ["exit 1"]}, at_once=1)
    assert told.statuses == ["failed", "failed"]
    assert all("its worker ended without a report" in report.message for report in told.reports.values())
    assert submissions(tmp_path) == 2


def test_what_a_worker_died_of_is_told(
    planned: Callable[..., list[Request]], run: Callable[..., Told], tmp_path: Path
) -> None:
    """Another module has the name of the package."""
    (tmp_path / "benchmarks.py").write_text("raise RuntimeError('broken on purpose')")
    setup = ["cd /", f"export PYTHONPATH={tmp_path}"]
    told = run(planned(good="ok")[:1], parameters={"local_setup": setup}, at_once=1)
    assert "which ends: RuntimeError: broken on purpose); the same command goes on" in told.message("good")


def test_an_error_of_the_one_who_waits_ends_the_workers(
    planned: Callable[..., list[Request]], run: Callable[..., Told], wait_for: Callable[..., None]
) -> None:
    class Failing(Told):
        def start(self, request: Request) -> None:
            assert workers_of(os.getpid())
            raise RuntimeError("an error of the front process")

    with pytest.raises(RuntimeError, match="front process"):
        run(planned(slow="ok, 300"), told=Failing(), at_once=2)
    wait_for(lambda: not workers_of(os.getpid()), seconds=30)


def test_a_worker_on_this_machine_has_all_the_time(
    planned: Callable[..., list[Request]], run: Callable[..., Told]
) -> None:
    """Submitit gives it two minutes unless it is told otherwise, and so it may be here."""
    seconds: list[int] = []

    class Asking(Told):
        def start(self, request: Request) -> None:
            super().start(request)
            seconds.extend(int(worker.environ()["SUBMITIT_LOCAL_TIMEOUT_S"]) for worker in workers_of(os.getpid()))

    first, second = planned(nap="ok, 2")
    run([first], told=Asking(), at_once=1)
    run([second], told=Asking(), at_once=1, parameters={"timeout_min": 3})
    assert seconds[0] > 30 * 86400
    assert seconds[1] == 180


def test_threads_count_the_cores_that_this_process_may_use() -> None:
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert (threads_of(1), threads_of(2), default_workers("cpu")) == (1, 1, 1)
    finally:
        os.sched_setaffinity(0, cores)
    assert threads_of(1) == len(cores)


@pytest.mark.parametrize("whom", ["the command", "everybody, as a terminal does"])
def test_ctrl_c_ends_command_and_workers(
    small_suite: Make, whom: str, wait_for: Callable[..., None], processes_mentioning: Callable[[str], list[int]]
) -> None:
    suite = small_suite(slow="ok, 300", slow_too="ok, 300")
    process = start(suite, "--workers", "2")
    wait_for(lambda: len(list(suite.out.glob("work/*/*slow*/lock"))) == 2)
    if whom == "the command":
        process.send_signal(signal.SIGINT)
    else:
        os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "finished jobs are kept, and the same command goes on" in said
    assert "Traceback" not in said
    wait_for(lambda: not processes_mentioning(str(suite.out)), seconds=30)


def test_workers_outlive_a_command_that_is_killed(small_suite: Make, wait_for: Callable[..., None]) -> None:
    """What they are at is left to them by the same command; what they have done, it finds done."""
    suite = small_suite(first="ok", second="ok, 25")
    process = start(suite, "--workers", "1")
    wait_for(lambda: list(suite.out.glob("work/*/*second*/lock")))
    process.kill()
    process.wait()  # and not for the end of its output, which is open in its workers
    again = suite.run()
    assert again.returncode == 1, again.stdout
    assert "1 done before, 1 to run" in again.stdout
    assert "another process is running this job" in again.stdout
    wait_for(lambda: len(suite.results()) == 2)
    assert "2 done before, 0 to run" in suite.run().stdout


def test_slurm_without_a_time_is_refused(small_suite: Make) -> None:
    suite = small_suite()
    done = suite.run("--cluster", "slurm", "--cluster-option", "slurm_partition=gpu")
    assert done.returncode == 2
    assert "add --cluster-option timeout_min=MINUTES" in done.stderr
    assert not suite.out.exists()


def start(suite: Any, *options: str) -> subprocess.Popen[str]:
    """The command with its workers on this machine, in a process group of its own as in a terminal."""
    return subprocess.Popen(
        suite.command("--cluster", "local", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )


def test_a_linked_log_of_submissions_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "submitit.log").symlink_to("target")
    with (
        pytest.raises(UMTError, match=r"submitit\.log: no log can be written there"),
        _errors_to(tmp_path / "submitit.log"),
    ):
        pass
    assert (tmp_path / "target").read_text() == "mine"
