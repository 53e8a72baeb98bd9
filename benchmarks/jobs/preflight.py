"""The pre-flight: load every backbone, check every data set, lay out the jobs, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.jobs.limits import deadline
from benchmarks.results import Key, ResultStore, job_title
from benchmarks.suite.plan import BackboneCheck, DatasetCheck, PlannedJob, PlanOptions, RunPlan
from benchmarks.suite.protocols import Protocol, load_protocol
from benchmarks.suite.request import JobRequest, SentProtocol
from benchmarks.suite.suite import Column
from benchmarks.tasks.contract import Task
from benchmarks.tasks.registry import get_task
from umt.backbones import Backbone, create_backbone
from umt.backbones.build_record import BuildRecord, recorded
from umt.backbones.check import misdeclared
from umt.backbones.spec import BackboneName, parse_spec, refuse_namesakes
from umt.backbones.weights import stamp_of
from umt.data.checks.items import validate
from umt.data.contract import WHOLE_IMAGES
from umt.data.registry import dataset_folder, dataset_info, find_dataset
from umt.errors import (
    DeclarationError,
    MissingFileError,
    OptionError,
    SpecError,
    UMTError,
    UnknownNameError,
    first_line,
    unknown_name,
)
from umt.training.device import pick_device

Models = Mapping[str, Backbone]  # by label, those that are at hand and have no name to build them by
NO_MODELS: Models = {}


def make_plan(options: PlanOptions, models: Models = NO_MODELS) -> RunPlan:
    """Load every backbone and index every data set once, then lay out the jobs; problems block jobs, not the plan."""
    for name, folder in options.data.items():
        try:
            dataset_info(name)
        except UMTError as error:
            raise OptionError(f"--data {name}={folder}: {error}") from error
    device = str(pick_device(options.device))
    columns = chosen_columns(options)
    backbones = _check_backbones(options.backbones, options.seconds, models)
    datasets = {name: _check_dataset(name, options) for name in dict.fromkeys(column.dataset for column in columns)}
    jobs = [
        _plan_job(options, backbone, datasets[column.dataset], column, seed, anew=backbone.name.label in models)
        for column in columns  # the long trainings of all backbones come first, and short probes fill the end
        for backbone in backbones
        for seed in range(seeds_of(column, options))
    ]
    _warm_up({job.request.key.task for job in jobs if job.state == "to run" and job.request}, torch.device(device))
    return RunPlan(device, tuple(backbones), tuple(datasets.values()), tuple(jobs))


def _warm_up(tasks: Iterable[str], device: torch.device) -> None:
    """Let tasks try their optional accelerators, so that one that fails is known now and not after a training."""
    for task in map(get_task, tasks):
        if task.warm_up:
            task.warm_up(device)


def seeds_of(column: Column, options: PlanOptions) -> int:
    try:
        return options.seeds if get_task(column.task).seeded else 1
    except UMTError:  # `_plan_job` reports it
        return 1


def chosen_columns(options: PlanOptions) -> Sequence[Column]:
    known = [column.task for column in options.suite.measured]
    for task in options.tasks:
        if task not in known:
            raise unknown_name(f"task in suite '{options.suite.name}'", task, set(known))
    return [column for column in options.suite.measured if not options.tasks or column.task in options.tasks]


def _check_backbones(names: Sequence[BackboneName], seconds: float | None, models: Models) -> list[BackboneCheck]:
    refuse_namesakes(names)
    return [_check_backbone(name, seconds, models.get(name.label)) for name in names]


def _check_backbone(name: BackboneName, seconds: float | None, model: Backbone | None) -> BackboneCheck:
    record = BuildRecord()
    try:
        with deadline(seconds, f"{name.spec}: the look at it before its jobs"), recorded(record):
            stamp = stamp_of(parse_spec(name.spec)) if model is None else None
            backbone = create_backbone(name.spec, trusted=name.trusted) if model is None else model
            digest, problem = backbone.weights_hash(), misdeclared(backbone)
    except Exception as error:  # a plug-in may raise anything; it must not stop the others
        if name.trusted and isinstance(error, (MissingFileError, SpecError, UnknownNameError)):
            raise  # a person has mistyped it: one error, and no job is planned
        return BackboneCheck(name, problem=_one_line(error))
    if problem:
        problem = f"{name.spec}: {problem}; `umt backbones check` says more"
    parameters = sum(value.numel() for value in backbone.parameters())
    facts = tuple(record.entries)
    return BackboneCheck(
        name,
        digest,
        stamp,
        parameters,
        problem,
        no_dense=backbone.no_dense,
        only_side=backbone.preprocess.size if backbone.fixed else None,
        evidence=backbone.recognised,
        facts=facts,
    )


def _check_dataset(name: str, options: PlanOptions) -> DatasetCheck:
    expected, kind = options.data_root, ""
    try:
        info = dataset_info(name)
        expected, kind = dataset_folder(info, options.data_root, options.data), info.kind
        dataset = find_dataset(name, options.data_root, options.data)
        validate(dataset)
        return DatasetCheck(
            name,
            dataset.root,
            dataset.title,
            dataset.fingerprint,
            dataset.sizes,
            kind=kind,
            untrainable=next((error.coded for error in dataset.absent.values()), None),
        )
    except (UMTError, OSError) as error:
        return DatasetCheck(name, expected, kind=kind, problem=_one_line(error))


def _plan_job(
    options: PlanOptions, backbone: BackboneCheck, dataset: DatasetCheck, column: Column, seed: int, *, anew: bool
) -> PlannedJob:
    """Lay out a job; `anew` for a model that is an object, whose code no result can tell."""
    title = job_title(backbone.name.label, column.task, column.dataset, column.protocol_name, seed)
    try:
        task = get_task(column.task)
        protocol: Protocol[Any] = load_protocol(task.name, column.protocol, task.settings)
        _refuse_misfits(task, column, dataset)
        _refuse_metrics(task, [shared for shared in options.suite.columns if shared.job == column.job])
    except UMTError as error:
        return PlannedJob(title, "", "blocked", problem=error.coded)
    problem = backbone.problem or dataset.problem or _no_maps(backbone, column) or _no_point(backbone, column)
    if task.trains:
        problem = problem or dataset.untrainable
    if problem:
        return PlannedJob(title, protocol.hash, "blocked", problem=problem)
    key = Key(
        backbone=backbone.name.label,
        weights_hash=backbone.weights_hash,
        task=column.task,
        dataset=column.dataset,
        protocol=protocol.name,
        protocol_hash=protocol.hash,
        data_fingerprint=dataset.fingerprint,
        seed=seed,
    )
    try:
        state = "done" if ResultStore(options.out / "results").has(key) and not anew else "to run"
    except UMTError as error:
        return PlannedJob(title, protocol.hash, "blocked", problem=str(error))
    request = _request(options, key, backbone, protocol, dataset)
    processes = protocol.settings.processes(options.processes) if task.spreads else 1
    return PlannedJob(
        title, protocol.hash, state, replace(request, processes=processes, reads_models=task.reads_models)
    )


def _refuse_misfits(task: Task, column: Column, dataset: DatasetCheck) -> None:
    """Raise UMTError if a column gives a task data of another kind."""
    if dataset.kind and dataset.kind not in task.kinds:
        raise DeclarationError(
            f"task '{task.name}' takes data for {' or '.join(task.kinds)}, and data set '{column.dataset}' is for "
            f"{dataset.kind}; take another data set or task"
        )


def _refuse_metrics(task: Task, columns: Sequence[Column]) -> None:
    """Raise UMTError if one of the columns that share a job asks its task for a metric that it does not have."""
    metrics = [metric.name for metric in task.metrics]
    for column in columns:
        if column.metric not in metrics:
            raise unknown_name(f"metric of task '{task.name}'", column.metric, metrics)


def _no_maps(backbone: BackboneCheck, column: Column) -> str | None:
    """Return the reason if a column needs maps that the backbone does not give."""
    if backbone.no_dense is None or dataset_info(column.dataset).kind in WHOLE_IMAGES:
        return None
    return f"{backbone.name.label}: {backbone.no_dense}, so no dense task can use it; its other columns are measured"


def _no_point(backbone: BackboneCheck, column: Column) -> str | None:
    """Return the reason if a backbone has no point at the resolution of a curve: it would be that of another one."""
    side = backbone.only_side
    if side is None or column.resolution in (None, side):
        return None
    return (
        f"{backbone.name.label}: it takes images of {side}x{side} only, so it has no number at {column.resolution} "
        f"pixels; measure it at {side}"
    )


def _request(
    options: PlanOptions, key: Key, backbone: BackboneCheck, protocol: Protocol[Any], dataset: DatasetCheck
) -> JobRequest:
    return JobRequest(
        key=key,
        spec=backbone.name.spec,
        trusted=backbone.name.trusted,
        stamp=backbone.stamp,
        facts=backbone.facts,
        protocol=SentProtocol.of(protocol),
        data_root=dataset.folder,
        suite=options.suite.name,
        device=options.device,
        out=options.out,
        cache=options.cache,
        compiled=options.compiled,
        wandb=options.wandb,
    )


def _one_line(error: BaseException) -> str:
    if isinstance(error, UMTError):
        return error.coded
    return f"{type(error).__name__}: {first_line(error)}"
