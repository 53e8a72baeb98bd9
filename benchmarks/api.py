"""`evaluate`: backbones on a suite, from Python. `umt run` takes the same way, with options in place of arguments."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.actions import analyse, example_backbones, train_students
from benchmarks.jobs.forkserver import call, default_workers, fork_server
from benchmarks.jobs.live import LiveJobs
from benchmarks.jobs.local import Executor, LocalExecutor
from benchmarks.jobs.progress import print_blocked, print_plan
from benchmarks.jobs.status import StatusFile
from benchmarks.results import Result, ResultStore, read_result
from benchmarks.run_options import Backbones, PathLike, RunOptions, UsageError, named_backbones
from benchmarks.suite.plan import PlannedJob, PlanOptions, RunPlan
from benchmarks.suite.request import JobReport, JobRequest
from benchmarks.suite.resolutions import name_at, suite_at
from benchmarks.suite.suite import Suite, SuiteTable, load_suite
from benchmarks.suite.tables import SuitePart, chosen_tables, parts_of
from umt.backbones.spec import BackboneName
from umt.console import Console
from umt.errors import ProcessError, UMTError
from umt.files import component, writable_folder
from umt.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from umt.backbones import Preprocess
    from umt.backbones.adapters.module_adapter import FeaturesOf


def evaluate(
    backbones: Backbones,
    *,
    preprocess: str | Preprocess | None = None,
    features: FeaturesOf | None = None,
    suite: str = "paper",
    data_root: PathLike | None = None,
    data: Mapping[str, PathLike] | None = None,
    out: PathLike | None = None,
    tasks: str | Sequence[str] = (),
    datasets: str | Sequence[str] = (),
    tables: str | None = None,
    resolutions: Sequence[int] = (),
    seeds: int | None = None,
    device: str = "auto",
    workers: int | None = None,
    processes: int = 1,
    cache: PathLike | None = None,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    compiled: bool = False,
    wandb: bool = False,
    cluster: str | None = None,
    cluster_options: Mapping[str, Any] | None = None,
    trust: Sequence[str] = (),
    quiet: bool = False,
) -> pd.DataFrame:
    """Evaluate backbones on a suite, and return a row for each metric of each job, as `load_results` gives them.

    backbones: a name (`timm:resnet50`, `LABEL=SPEC`, `path.py:factory`), a checkpoint, an `nn.Module`, several of them,
    or a mapping of labels to them; none for the suite's example. Names may run code: give none that came out of a file.
    preprocess, features: of modules, as `wrap_module` takes them. workers: jobs at a time. With 0 they run in this
    process, one after the other, as they always do for modules. out: where results go, and where jobs that have one are
    not run again (default: runs/SUITE; for modules nowhere). quiet: print nothing; a job without a result is then a
    warning. The other arguments are the options of `umt run`.

    A module stays as it is, and so do random numbers and settings of torch. Among the processes of torch.distributed
    the first one evaluates, and the others get an empty table at once.

    Raises UMTError for arguments that do not go together, and if no job has a result.
    """
    if _is_secondary():
        return _empty_frame()
    with ExitStack() as stack:
        if workers == 0 or "torch" in sys.modules:
            stack.enter_context(_undisturbed())
        names, models = named_backbones(backbones, preprocess, features)
        results_stay = out is not None or not models
        folder = out if results_stay else stack.enter_context(TemporaryDirectory(prefix="umt-"))
        options = RunOptions(
            backbones=names,
            models=models,
            suite=suite,
            data_root=_path(data_root),
            data={name: Path(folder).resolve() for name, folder in (data or {}).items()},
            out=_path(folder),
            tasks=tuple(tasks.split(",") if isinstance(tasks, str) else tasks),
            datasets=(datasets,) if isinstance(datasets, str) else tuple(datasets),
            tables=tables,
            resolutions=tuple(resolutions),
            seeds=seeds,
            device=device,
            workers=0 if models and workers is None else workers,
            processes=processes,
            cache=_path(cache),
            time_limit=time_limit,
            memory_limit=memory_limit,
            compiled=compiled,
            wandb=wandb,
            cluster=cluster,
            cluster_options=cluster_options or {},
            trust=(trust,) if isinstance(trust, str) else tuple(trust),
        )
        frame = _frame(run_suite(options, Console(quiet=quiet)), quiet)
        return frame if results_stay else frame.assign(path="")  # the folder is about to go


@dataclass(frozen=True)
class PreparedRun:
    """The needs of the jobs beside the options: folders and data that are there, tables, backbones."""

    options: RunOptions
    suite: Suite
    out: Path
    data_root: Path
    tables: Sequence[SuiteTable]
    backbones: tuple[BackboneName, ...]


@dataclass(frozen=True)
class RunOutcome:
    """The end of a run: its plan, its reports, and the time that it took."""

    plan: RunPlan
    suite: Suite
    out: Path
    workers: int
    reports: Mapping[JobRequest, JobReport] = field(default_factory=dict)  # of jobs that were run
    uncompared: int = 0  # checkpoints that a table compares with their teachers, and that could not be
    preparing: float = 0.0  # seconds: embedded data, students


def run_suite(options: RunOptions, console: Console) -> RunOutcome:
    """Prepare, plan, run what has no result, and compare what the tables ask for; a dry run prints the plan alone."""
    started = time.perf_counter()
    prepared = _prepare(options, console)
    server = None if options.workers == 0 else fork_server()
    preparing = time.perf_counter() - started
    with console.status("Loading backbones and looking at the data"):
        plan = _plan(prepared, server)
    workers = options.workers or default_workers(plan.device)
    outcome = RunOutcome(plan, prepared.suite, prepared.out, workers, preparing=preparing)
    if options.dry_run:
        plan = plan.with_later()
        print_plan(console, plan, prepared.suite, prepared.out)
        return replace(outcome, plan=plan)
    note = StatusFile(prepared.out, prepared.suite.name, plan)
    reports = execute(plan, _executor(prepared, server, workers), console, note)
    failed = analyse(
        prepared.tables,
        prepared.backbones,
        prepared.data_root,
        prepared.out,
        console,
        isolated=server is not None,
    )
    return replace(outcome, reports=reports, uncompared=failed)


def execute(plan: RunPlan, executor: Executor, console: Console, note: StatusFile) -> Mapping[JobRequest, JobReport]:
    """Run what is to run; return how each job ended. The note in the folder is for `umt status`."""
    requests = plan.requests()
    done = sum(job.state == "done" for job in plan.jobs)
    console.print(f"{len(plan.jobs)} jobs: {done} done before, {len(requests)} to run")
    print_blocked(console, plan)
    with LiveJobs(console, len(requests)) as live, note:
        for stage in _stages(requests):
            executor.run(
                stage,
                _in_turn(live.start, note.start),
                _in_turn(live.advance, note.advance),
                _in_turn(live.end, note.end),
            )
    return {request: _settled(request, report) for request, report in live.reports.items()}


def _stages(requests: Sequence[JobRequest]) -> list[list[JobRequest]]:
    """Return the jobs that have to end before others start, and these, which read models that they keep."""
    stages = [[request for request in requests if request.reads_models == reads] for reads in (False, True)]
    return [stage for stage in stages if stage] or [[]]


def _settled(request: JobRequest, report: JobReport) -> JobReport:
    """Look at the store again for a job that another suite had: it may have its result by now."""
    if report.status == "elsewhere":
        with suppress(UMTError):
            if ResultStore(request.out / "results").has(request.key):
                return JobReport("done", "by another process")
    return report


def _in_turn(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def call_both(*event: Any) -> None:
        first(*event)
        second(*event)

    return call_both


def _prepare(options: RunOptions, console: Console) -> PreparedRun:
    """Read the suite, make the folder, write the embedded data, distil the students that are asked for."""
    suite = load_suite(options.suite)
    if options.workers != 0:
        fork_server(options.tasks or suite.tasks)  # it imports, while the data is written
    if options.datasets:
        suite = _on_data(suite, options)
    if options.resolutions:
        suite = replace(suite, name=name_at(suite.name, options.resolutions))
    if not options.backbones and not (suite.example or suite.example_students) and not options.train:
        raise UsageError(f"suite '{printable(suite.name)}' has no example; name a checkpoint or --backbone SPEC")
    out = (options.out or Path("runs") / component(suite.name)).resolve()
    if not options.dry_run:
        writable_folder(out, "--out")
    if options.resolutions:
        suite = suite_at(suite, options.resolutions, out)
    root = _data_root(options, suite, out, console)
    tables = chosen_tables(suite, options.tables) if options.tables else []
    return PreparedRun(options, suite, out, root, tables, _backbones(options, suite, tables, root, out, console))


def _on_data(suite: Suite, options: RunOptions) -> Suite:
    """Return the suite on the data sets that are asked for; its tasks import torch, which a child process has."""
    arguments = (suite, options.datasets, options.tasks)
    if options.workers == 0:
        from benchmarks.suite.on_data import suite_on

        return suite_on(*arguments)
    return call(fork_server(), "benchmarks.suite.on_data:suite_on", *arguments)


def _data_root(options: RunOptions, suite: Suite, out: Path, console: Console) -> Path:
    if options.data_root:
        return options.data_root.resolve()
    if not suite.embedded_data:
        return Path("data").resolve()
    with console.status("Writing the embedded data"):
        if options.workers == 0:
            from umt.data.mini.write import write_mini

            write_mini(out / "data", names=suite.bases)
        else:
            call(fork_server(), "umt.data.mini.write:write_mini", out / "data", names=suite.bases)
    return out / "data"


def _backbones(
    options: RunOptions, suite: Suite, tables: Sequence[SuiteTable], root: Path, out: Path, console: Console
) -> tuple[BackboneName, ...]:
    """Return the named backbones with the students that are trained for tables; without any the suite's example."""
    if options.train:
        students = train_students(
            tables,
            root,
            out,
            console,
            options.trust,
            sure=options.yes,
            dry_run=options.dry_run,
            wandb=options.wandb,
        )
        return (*options.backbones, *students)
    return options.backbones or example_backbones(
        suite,
        root,
        out,
        console,
        options.trust,
        isolated=options.workers != 0,
        dry_run=options.dry_run,
        wandb=options.wandb,
    )


def _plan(prepared: PreparedRun, server: Any | None) -> RunPlan:
    """Plan in a child process, which imports torch beside; without a server in this one, which has the models."""
    suite, tables, backbones = prepared.suite, prepared.tables, prepared.backbones
    if server is None:
        from benchmarks.jobs.preflight import make_plan

        parts = parts_of(suite, tables, backbones, trained=prepared.options.train)
        return RunPlan.merged([make_plan(_planned(prepared, part), prepared.options.models) for part in parts])
    parts = call(server, "benchmarks.suite.tables:parts_of", suite, tables, backbones, trained=prepared.options.train)
    return RunPlan.merged(
        [call(server, "benchmarks.jobs.preflight:make_plan", _planned(prepared, part)) for part in parts]
    )


def _planned(prepared: PreparedRun, part: SuitePart) -> PlanOptions:
    """Return what the plan of one part of the suite needs to know."""
    options, (suite, backbones) = prepared.options, part
    return PlanOptions(
        suite=suite,
        backbones=backbones,
        data_root=prepared.data_root,
        data=options.data,
        out=prepared.out,
        tasks=options.tasks,
        seeds=options.seeds or suite.seeds,
        device=options.device,
        cache=options.cache.resolve() if options.cache else None,
        compiled=options.compiled,
        wandb=options.wandb,
        processes=options.processes,
        seconds=options.limits.seconds,
    )


def _executor(prepared: PreparedRun, server: Any | None, workers: int) -> Executor:
    """Return what runs the jobs: this process, a fork server, or a cluster."""
    options = prepared.options
    if server is None:
        from benchmarks.jobs.inline import InlineExecutor

        return InlineExecutor(options.models)
    if options.cluster:
        from benchmarks.jobs.cluster import ClusterExecutor

        at_once = workers if options.cluster == "local" else options.workers
        submission = dict(options.cluster_options)
        return ClusterExecutor(options.cluster, prepared.out / "cluster", submission, at_once, options.limits)
    return LocalExecutor(server, workers, options.limits)


def _is_secondary() -> bool:
    """Return if this is a process of torch.distributed that is not the first one."""
    distributed: Any = sys.modules.get("torch.distributed")
    return bool(distributed and distributed.is_available() and distributed.is_initialized() and distributed.get_rank())


def _undisturbed() -> AbstractContextManager[None]:
    from benchmarks.jobs.inline import undisturbed  # imports torch

    return undisturbed()


def _empty_frame() -> pd.DataFrame:
    from benchmarks.frame import results_frame  # imports pandas

    return results_frame([])


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)


def _frame(outcome: RunOutcome, quiet: bool) -> pd.DataFrame:
    """Return the results of the plan's jobs; UMTError if there are none."""
    from benchmarks.frame import results_frame  # imports pandas

    results, missing = dict[Path, Result](), list[UMTError]()
    for job in outcome.plan.jobs:
        try:
            path, result = _result(outcome, job)
            results[path] = result
        except UMTError as error:
            missing.append(error)
    if not results:
        reason = f"; {missing[0]}" if missing else ""
        raise ProcessError(f"none of {len(outcome.plan.jobs)} jobs has a result{reason}")
    for problem in missing if quiet else ():  # else the console has said so
        warnings.warn(f"left out: {problem}", stacklevel=3)
    return results_frame(sorted(results.items()))


def _result(outcome: RunOutcome, job: PlannedJob) -> tuple[Path, Result]:
    """Return the file of a job and what it holds; UMTError says why there is none."""
    if job.request is None:
        raise ProcessError(f"{job.title}: {job.problem}")
    report = outcome.reports.get(job.request)
    if report and report.status != "done":
        raise ProcessError(f"{job.title}: {report.message}")
    path = ResultStore(outcome.out / "results").path(job.request.key)
    return path, read_result(path)
