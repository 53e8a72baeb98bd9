"""Jobs through submitit, one submission a job, whatever becomes of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import submitit
from submitit.slurm.slurm import SlurmInfoWatcher

from benchmarks.jobs import cluster as module
from benchmarks.jobs.cluster import ClusterExecutor, ProgressFile, _errors_to
from benchmarks.jobs.forkserver import default_workers, threads_of
from benchmarks.jobs.limits import JobLimits
from benchmarks.jobs.preflight import make_plan
from benchmarks.results import ResultStore, read_result
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.request import JobReport, JobRequest
from benchmarks.suite.suite import load_suite
from umt.backbones.spec import read_name
from umt.errors import UMTError

pytestmark = pytest.mark.slow

SPECS = ("a=timm:test_resnet?pretrained=false", "b=timm:test_vit?pretrained=false")
Make = Callable[..., Any]


class Told:
    """Notes the calls of an executor."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.most = 0
        self.reports: dict[str, JobReport] = {}
        self.progress: list[tuple[int, int, str]] = []

    def start(self, request: JobRequest) -> None:
        assert request.title not in self.running | self.reports.keys(), "a job was started twice"
        self.running.add(request.title)
        self.most = max(self.most, len(self.running))

    def advance(self, request: JobRequest, *progress: Any) -> None:
        assert request.title in self.running
        self.progress.append(progress)

    def end(self, request: JobRequest, report: JobReport) -> None:
        self.running.remove(request.title)
        self.reports[request.title] = report

    @property
    def statuses(self) -> list[str]:
        return sorted(report.status for report in self.reports.values())

    def message(self, part: str) -> str:
        """Return the message of the job with that in its title."""
        (found,) = (report.message for title, report in self.reports.items() if part in title)
        return found


@pytest.fixture
def planned(small_suite: Make, tmp_path: Path) -> Callable[..., list[JobRequest]]:
    """Jobs of two backbones, with a protocol for each behaviour."""

    def plan(seeds: int = 1, **behaviours: str) -> list[JobRequest]:
        small = small_suite(**behaviours)
        options = PlanOptions(
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
    """Submit jobs, with submitit's files below a folder."""

    def all_of(requests: list[JobRequest], kind: str = "local", told: Told | None = None, **options: Any) -> Told:
        told = told or Told()
        executor = ClusterExecutor(kind, tmp_path / "cluster", options.pop("parameters", {}), **options)
        executor.run(requests, told.start, told.advance, told.end)
        assert not told.running
        return told

    return all_of


def submissions(folder: Path) -> int:
    return len(list((folder / "cluster").glob("*/*_submitted.pkl")))


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


def test_jobs_are_submitted_as_others_end_and_share_the_cores(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told], tmp_path: Path
) -> None:
    told = run(planned(first="ok, 0.5", second="ok, 0.5"), at_once=2)
    assert told.statuses == ["done"] * 4
    assert told.most <= 2
    assert submissions(tmp_path) == 4
    assert len(set(said_by_jobs(tmp_path, r"server (\d+),"))) == 4, "each in a process of its own submission"
    assert set(said_by_jobs(tmp_path, r"(\d+) threads")) == {str(threads_of(2))}
    assert at_most_side_by_side(tmp_path / "out" / "results") <= 2


def at_most_side_by_side(results: Path) -> int:
    """Jobs that ran at the same time, by the clocks of the jobs themselves."""
    spans = []
    for path in ResultStore(results).paths():
        end = path.stat().st_mtime
        spans.append((end - read_result(path).wall_seconds, end))
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def test_a_job_that_fails_makes_room_for_the_next(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told]
) -> None:
    told = run(planned(bad="raise", dead="die", good="ok")[::2], at_once=1)
    assert told.statuses == ["done", "failed", "failed"]
    assert "this task always fails" in told.message("bad")
    assert "the process ended with status 9" in told.message("dead")
    assert told.most == 1


def test_progress_arrives_while_a_job_runs(planned: Callable[..., list[JobRequest]], run: Callable[..., Told]) -> None:
    told = run(planned(nap="ok, 1.5")[:1], at_once=1)
    assert told.statuses == ["done"]
    assert told.progress[0] == (1, 2, "naps")


def test_limits_are_those_of_a_job(planned: Callable[..., list[JobRequest]], run: Callable[..., Told]) -> None:
    told = run(planned(hang="ok, 300", sound="ok")[::2], at_once=1, limits=JobLimits(seconds=9))
    assert told.statuses == ["done", "failed"]
    assert "if the job is sound, type the same command again with more than" in told.message("hang")


class Ending(Told):
    """Sends a signal to what runs the job with "slow" in its title, once that is at work."""

    def __init__(self, number: signal.Signals, wait_for: Callable[..., None]) -> None:
        super().__init__()
        self.number = number
        self.wait_for = wait_for

    def start(self, request: JobRequest) -> None:
        super().start(request)
        if "slow" in request.title:
            self.wait_for((request.work_dir / "lock").exists)
            (worker,) = workers_of(os.getpid())
            worker.send_signal(self.number)


@pytest.mark.parametrize(
    ("number", "cause"),
    [(signal.SIGKILL, ""), (signal.SIGUSR2, "Job not requeued because: timed-out and not checkpointable")],
    ids=["the system", "the time limit"],  # of which submitit hears by that signal, from Slurm and by itself
)
def test_a_job_that_is_ended_is_one_failed_line_and_no_other_is_lost(
    planned: Callable[..., list[JobRequest]],
    run: Callable[..., Told],
    tmp_path: Path,
    wait_for: Callable[..., None],
    processes_mentioning: Callable[[str], list[int]],
    number: signal.Signals,
    cause: str,
) -> None:
    requests = planned(slow="ok, 300", good="ok")
    (slow, *_), (good, *_) = ([one for one in requests if name in one.title] for name in ("slow", "good"))
    told = run([slow, good], told=Ending(number, wait_for), at_once=1, parameters={"timeout_min": 3})
    assert told.statuses == ["done", "failed"]
    message = told.message("slow")
    assert "the job ended without a report (submitit's state: FINISHED, log: " in message
    assert str(tmp_path / "cluster") in message
    assert cause in message
    assert "the same command goes on" in message
    wait_for(lambda: not processes_mentioning(str(slow.log)), seconds=120)


def test_jobs_that_cannot_start_end_the_run(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told], tmp_path: Path
) -> None:
    told = run(planned(good="ok"), parameters={"local_setup": ["exit 1"]}, at_once=1)
    assert told.statuses == ["failed", "failed"]
    assert all("ended without a report" in report.message for report in told.reports.values())
    assert submissions(tmp_path) == 2


def test_the_end_of_its_log_says_what_a_job_died_of(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told], tmp_path: Path
) -> None:
    """Another module has the name of the package."""
    (tmp_path / "benchmarks.py").write_text("raise RuntimeError('broken on purpose')")
    setup = ["cd /", f"export PYTHONPATH={tmp_path}"]
    told = run(planned(good="ok")[:1], parameters={"local_setup": setup}, at_once=1)
    assert "which ends: RuntimeError: broken on purpose); the same command goes on" in told.message("good")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["in front", "in the background"])
def test_an_error_of_the_one_who_waits_cancels_the_jobs(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told], wait_for: Callable[..., None], handler: Any
) -> None:
    """Shells let commands in the background ignore SIGINT, by which submitit cancels."""

    class Failing(Told):
        def start(self, request: JobRequest) -> None:
            assert workers_of(os.getpid())
            raise RuntimeError("an error of the front process")

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(RuntimeError, match="front process"):
            run(planned(slow="ok, 300"), told=Failing(), at_once=2)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for(lambda: not workers_of(os.getpid()), seconds=120)


def test_a_job_on_this_machine_has_all_the_time(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told], wait_for: Callable[..., None]
) -> None:
    """Submitit gives it two minutes unless it is told otherwise, and so it may be here."""
    seconds: list[int] = []

    class Asking(Told):
        def start(self, request: JobRequest) -> None:
            super().start(request)
            seconds.extend(int(worker.environ()["SUBMITIT_LOCAL_TIMEOUT_S"]) for worker in workers_of(os.getpid()))

    first, second = planned(nap="ok, 2")
    run([first], told=Asking(), at_once=1)
    wait_for(lambda: not workers_of(os.getpid()), seconds=120)
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
def test_ctrl_c_ends_command_and_jobs(
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
    assert process.returncode == 130
    assert said.count("umt: interrupted; what is finished is kept, and the same command goes on from there") == 1
    assert "Aborted" not in said
    assert "Traceback" not in said
    wait_for(lambda: not processes_mentioning(str(suite.out)), seconds=120)


def test_jobs_outlive_a_command_that_is_killed(small_suite: Make, wait_for: Callable[..., None]) -> None:
    """The same command leaves to a job what that is at, and finds done what was done."""
    suite = small_suite(first="ok", second="hold")
    process = start(suite, "--workers", "1")
    wait_for(lambda: list(suite.out.glob("work/*/*second*/lock")))
    process.kill()
    process.wait()  # and not for the end of its output, which is open in its jobs
    again = suite.run()
    assert again.returncode == 1, again.stdout
    assert "1 done before, 1 to run" in again.stdout
    assert "another process is running this job" in again.stdout
    next(suite.out.glob("work/*/*second*/lock")).with_name("go").touch()
    wait_for(lambda: len(suite.results()) == 2)
    assert "2 done before, 0 to run" in suite.run().stdout


def test_slurm_without_a_time_is_refused(small_suite: Make) -> None:
    suite = small_suite()
    done = suite.run("--cluster", "slurm", "--cluster-option", "slurm_partition=gpu")
    assert done.returncode == 2
    assert "add --cluster-option timeout_min=MINUTES" in done.stderr
    assert not suite.out.exists()


def start(suite: Any, *options: str) -> subprocess.Popen[str]:
    """Start the command with jobs on this machine, in a process group of its own as in a terminal."""
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


STAND_IN = Path(__file__).parent / "slurm_stand_in.py"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put commands on the path that behave as Slurm's do; their states of jobs are in the folder."""
    states, commands = tmp_path / "slurm", tmp_path / "bin"
    states.mkdir()
    commands.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel", "scontrol", "preempt"):
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} {name} "$@"\n')
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_STAND_IN", str(states))
    monkeypatch.setitem(module.POLL_SECONDS, "slurm", 0.25)
    monkeypatch.setitem(module.RESULT_SECONDS, "slurm", 1.0)
    monkeypatch.setattr(submitit.SlurmJob, "watcher", SlurmInfoWatcher())  # it remembers the jobs of other tests
    return states


def states_of(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("*.state"))]


def test_slurm_gets_one_array_that_holds_jobs_back(
    planned: Callable[..., list[JobRequest]],
    run: Callable[..., Told],
    tmp_path: Path,
    slurm: Path,
    wait_for: Callable[..., None],
) -> None:
    told = run(planned(nap="ok, 1.5"), "slurm", at_once=1, parameters={"timeout_min": 7, "slurm_partition": "gpu"})
    assert told.statuses == ["done", "done"]
    assert told.most == 1
    assert (1, 2, "naps") in told.progress
    wait_for(lambda: states_of(slurm) == ["COMPLETED", "COMPLETED"], seconds=120)
    (script,) = (tmp_path / "cluster").glob("*/*_submission.sh")
    for line in ("array=0-1%1", "job-name=umt-bench", "time=7", "partition=gpu"):
        assert f"#SBATCH --{line}\n" in script.read_text()


def test_jobs_that_slurm_ends_are_failed_lines(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told], slurm: Path
) -> None:
    """The interruption finds a job that runs and a job that waits."""

    class Cancelling(Told):
        def start(self, request: JobRequest) -> None:
            super().start(request)
            subprocess.run(["scancel", "1000"], check=True)

    told = run(planned(slow="ok, 300"), "slurm", Cancelling(), at_once=1, parameters={"timeout_min": 7})
    assert told.statuses == ["failed", "failed"]
    assert all("(submitit's state: CANCELLED by 0, log: " in report.message for report in told.reports.values())


@pytest.mark.parametrize("command", [["scancel", "--signal=USR2"], ["preempt"]], ids=["submitit", "slurm"])
def test_a_job_that_is_requeued_goes_on_from_its_save(
    planned: Callable[..., list[JobRequest]],
    run: Callable[..., Told],
    slurm: Path,
    tmp_path: Path,
    wait_for: Callable[..., None],
    command: list[str],
) -> None:
    """Submitit requeues at its signal, which comes to the job's own process, too; Slurm ends all processes itself."""

    class Preempting(Told):
        def start(self, request: JobRequest) -> None:
            super().start(request)
            if "slow" in request.title:
                wait_for((request.work_dir / "save").exists)
                subprocess.run([*command, "1000_0"], check=True)

    requests = planned(slow="save, 300", good="ok")
    pair = [next(request for request in requests if name in request.title) for name in ("slow", "good")]
    told = run(pair, "slurm", Preempting(), at_once=1, parameters={"timeout_min": 7})
    assert told.statuses == ["done", "done"], told.reports
    assert said_by_jobs(tmp_path, "(goes on from the save)") == ["goes on from the save"]
    wait_for(lambda: states_of(slurm) == ["COMPLETED", "COMPLETED"])


def test_an_interruption_cancels_what_slurm_was_sent(
    planned: Callable[..., list[JobRequest]],
    run: Callable[..., Told],
    slurm: Path,
    wait_for: Callable[..., None],
    processes_mentioning: Callable[[str], list[int]],
) -> None:
    class Interrupted(Told):
        def start(self, request: JobRequest) -> None:
            raise KeyboardInterrupt

    requests = planned(slow="ok, 300")
    with pytest.raises(KeyboardInterrupt):
        run(requests, "slurm", Interrupted(), at_once=1, parameters={"timeout_min": 7})
    assert states_of(slurm) == ["CANCELLED by 0"] * 2
    wait_for(lambda: not processes_mentioning(str(requests[0].out)), seconds=120)


def test_jobs_that_slurm_refuses_are_one_error(
    planned: Callable[..., list[JobRequest]], run: Callable[..., Told], slurm: Path
) -> None:
    (slurm / "refuse").touch()
    with pytest.raises(UMTError, match=r"cannot be submitted: .*invalid partition specified: gpu.*--cluster-option"):
        run(planned(), "slurm", parameters={"timeout_min": 7})


@pytest.fixture
def note(planned: Callable[..., list[JobRequest]], tmp_path: Path) -> ProgressFile:
    return ProgressFile(tmp_path, planned()[0])


def test_progress_is_noted_once_a_second(note: ProgressFile, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    assert note.read() is None
    note.start()
    assert note.path.exists()
    assert note.read() is None
    for done, seconds, seen in ((1, 0, 1), (2, 0.5, 1), (3, 1.1, 3)):
        clock[0] = 100 + seconds
        note.write(done, 9, "images")
        assert note.read() == (seen, 9, "images")


def test_a_note_that_is_half_written_is_none(note: ProgressFile) -> None:
    note.write(3, 9, "bilder")
    whole = note.path.read_bytes()
    for length in range(len(whole)):
        note.path.write_bytes(whole[:length])
        assert note.read() is None
    note.path.write_bytes(whole)
    assert note.read() == (3, 9, "bilder")


def test_a_note_that_cannot_be_written_is_no_error(note: ProgressFile) -> None:
    note.path = note.path.parent / "gone" / note.path.name
    note.start()
    note.write(1, 2, "images")
    assert note.read() is None


def test_a_linked_note_is_neither_read_nor_written_through(note: ProgressFile, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("[1, 2, 3]")
    note.path.symlink_to("target")
    note.start()
    note.write(1, 2, "x")
    assert note.read() is None
    assert (tmp_path / "target").read_text() == "[1, 2, 3]"


def test_a_machine_without_slurm_is_one_line(small_suite: Make) -> None:
    done = small_suite().run("--cluster", "slurm", "--cluster-option", "timeout_min=5")
    assert done.returncode == 2
    assert '--cluster slurm: Could not detect "srun"' in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
