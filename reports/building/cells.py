"""Build a cell from the measurements of a model in a column: mean, deviation over seeds, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

from reports.building.metrics import ShownMetric
from reports.building.sharing import spec_without_folders
from reports.building.spread import mean_and_deviation
from reports.building.table import Cell, Private
from reports.results.measurement import Measurement
from reports.results.quoted import QuotedTable
from umt.text import printable


def measured_cell(measurements: Sequence[Measurement], name: str, metric: ShownMetric) -> Cell:
    """Return the mean of metric `name` over seeds, and the sample standard deviation from two seeds on."""
    runs = [measurement for measurement in measurements if name in measurement.result.metrics]
    if not runs:
        return Cell(explain=partial(_missing, measurements, name))
    cell = _mean_cell([run.result.metrics[name] for run in runs], metric, partial(provenance, runs, name))
    return replace(cell, files=tuple(run.path for run in runs), estimate=partial(_interval, runs, name))


def loss_cell(losses: Sequence[tuple[Measurement, float]], metric: ShownMetric) -> Cell:
    """Return the mean of losses over students; each loss comes with a result that repeats the student's checkpoint."""
    if not losses:
        return Cell()
    lines = [
        f"{spec_without_folders(measurement.result.spec)}: {value:.6g}, as its checkpoint says; distilled by code "
        f"{_distilled_by(measurement.result.provenance)}; read from {measurement.path.name}"
        for measurement, value in losses
    ]
    cell = _mean_cell([value for _, value in losses], metric, lambda: map(_private, lines))
    return replace(cell, files=tuple(measurement.path for measurement, _ in losses))


def mean_cell(cells: Sequence[Cell], metric: ShownMetric) -> Cell:
    """Return the mean over other cells of a row; a dash if one of them has no value."""
    values = [cell.value for cell in cells if cell.value is not None]
    if len(values) < len(cells):
        return Cell()
    mean = fmean(values)
    return Cell(_text(mean, None, metric.decimals), mean, runs=min(cell.runs for cell in cells))


def quoted_cell(quoted: QuotedTable, text: str | None) -> Cell:
    """Return a value as its source prints it, with the source; a dash if it gives none."""
    if text is None:
        return Cell()
    lines = (f"{quoted.source}, {quoted.table}", f"protocol there: {quoted.stated}", "quoted: nobody measured it here")
    return Cell(printable(text), float(text), runs=1, explain=lambda: map(printable, lines))


def _mean_cell(values: Sequence[float], metric: ShownMetric, explain: Callable[[], Iterable[str]]) -> Cell:
    mean, std = mean_and_deviation(values)
    return Cell(_text(mean, std, metric.decimals), mean, std, len(values), explain=explain)


def _text(mean: float, std: float | None, decimals: int) -> str:
    deviation = "" if std is None else f" ± {std:.{decimals}f}"
    return f"{mean:.{decimals}f}{deviation}"


def _missing(measurements: Sequence[Measurement], name: str) -> Iterable[str]:
    return [_private(f"no metric '{name}' in {measurement.path.name}") for measurement in measurements]


def provenance(measurements: Sequence[Measurement], name: str) -> Iterator[str]:
    """Describe the origin of the value of a cell; the measurements agree in model and protocol."""
    runs = sorted(measurements, key=lambda run: run.key.seed)
    first, key, environments = runs[0].result, runs[0].key, [run.result.environment for run in runs]
    yield printable(
        f"task {key.task}, protocol {key.protocol} version {first.protocol_version}, hash {key.protocol_hash}"
    )
    yield printable(f"data {first.data.title}, fingerprint {key.data_fingerprint}")
    yield _private(f"backbone {spec_without_folders(first.spec)}")
    yield printable(f"weights {key.weights_hash[:12]}")
    values = ", ".join(f"seed {run.key.seed} {run.result.metrics[name]:.6g}" for run in runs)
    yield printable(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}: {values}")
    yield _private(f"code {_joined(_code(environment.commit, environment.dirty) for environment in environments)}")
    yield printable(f"device {_joined(environment.device for environment in environments)}")
    yield from (_private(f"file {run.path.parent.name}/{run.path.name}") for run in runs)
    yield _private(f"again: {_command(runs[0], runs[-1].key.seed + 1)}")


def _interval(measurements: Sequence[Measurement], name: str) -> tuple[float, float] | None:
    if len(measurements) < 2 and not measurements[0].interval:
        return None
    from reports.building.ranking import estimate  # takes scipy

    return estimate(measurements, name).interval


def _private(line: str) -> Private:
    return Private(printable(line))


def _command(measurement: Measurement, seeds: int) -> str:
    """Return the command that repeats the runs if their results are not stored yet; folders are the reader's own."""
    result, key = measurement.result, measurement.key
    backbone = f"{key.backbone}={spec_without_folders(result.spec)}"
    data = f"{spec_without_folders(key.dataset)}={spec_without_folders(result.data.root)}"
    options = ["--backbone", backbone, "--suite", result.suite, "--tasks", key.task, "--data", data]
    return shlex.join(["umt", "run", *options, "--seeds", str(seeds)])


def _distilled_by(provenance: Mapping[str, object]) -> str:
    """Return the commit that a student's checkpoint names; the file is not verified, and older files name none."""
    code = provenance.get("code")
    return _code(code.get("commit"), code.get("dirty")) if isinstance(code, Mapping) else "of no stated commit"


def _code(commit: object, dirty: object) -> str:
    if commit is None:
        return "not under version control"
    return f"commit {str(commit)[:12]}{' with uncommitted changes' if dirty else ''}"


def _joined(texts: Iterable[str]) -> str:
    """Join different texts, each once."""
    return ", ".join(dict.fromkeys(texts))
