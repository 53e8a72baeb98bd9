"""From the results of a model in a column to one cell: mean, deviation over seeds, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev

from benchmarks.results import Result
from reports.metrics import Metric
from reports.store import Record
from reports.table import Cell, printable


def measured_cell(records: Sequence[Record], name: str, metric: Metric) -> Cell:
    """Mean of metric `name` over seeds, and the sample standard deviation from two seeds on."""
    runs = sorted((record for record in records if name in record.result.metrics), key=lambda run: run.result.key.seed)
    if not runs:
        return Cell(provenance=tuple(f"no metric '{name}' in {record.path.name}" for record in records))
    values = [run.result.metrics[name] for run in runs]
    mean, std = fmean(values), stdev(values) if len(values) > 1 else None
    return Cell(_text(mean, std, metric.decimals), mean, std, len(values), provenance=_provenance(runs, values))


def loss_cell(losses: Sequence[tuple[Record, float]], metric: Metric) -> Cell:
    """Mean over students of what each lost; each comes with a result that its checkpoint's word was read from."""
    if not losses:
        return Cell()
    values = [value for _, value in losses]
    mean, std = fmean(values), stdev(values) if len(values) > 1 else None
    lines = [
        f"{record.result.spec}: {value:.6g}, as its checkpoint says; distilled by code {_distilled_by(record.result)}; "
        f"read from {record.path.name}"
        for record, value in losses
    ]
    return Cell(_text(mean, std, metric.decimals), mean, std, len(values), provenance=tuple(map(printable, lines)))


def mean_cell(cells: Sequence[Cell], metric: Metric) -> Cell:
    """Mean over other cells of a row; a dash where one of them has no value."""
    values = [cell.value for cell in cells if cell.value is not None]
    if len(values) < len(cells):
        return Cell()
    mean = fmean(values)
    return Cell(_text(mean, None, metric.decimals), mean, runs=min(cell.runs for cell in cells))


def published_cell(text: str, number: int) -> Cell:
    """A value as the paper prints it."""
    return Cell(text, float(text), runs=1, provenance=(f"table {number} of the paper",)) if text else Cell()


def _text(mean: float, std: float | None, decimals: int) -> str:
    deviation = "" if std is None else f" ± {std:.{decimals}f}"
    return f"{mean:.{decimals}f}{deviation}"


def _provenance(runs: Sequence[Record], values: Sequence[float]) -> tuple[str, ...]:
    result = runs[0].result
    key = result.key
    lines = (
        f"task {key.task}, protocol {key.protocol} version {result.protocol_version}, hash {key.protocol_hash}",
        f"data {result.data.title}, fingerprint {key.data_fingerprint}",
        f"backbone {result.spec}, weights {key.weights_hash[:12]}",
        f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}: "
        + ", ".join(f"seed {run.result.key.seed} {value:.6g}" for run, value in zip(runs, values, strict=True)),
        f"code {_joined(_code(run.result.environment.commit, run.result.environment.dirty) for run in runs)}",
        f"device {_joined(run.result.environment.device for run in runs)}",
        f"files {_joined(run.path.name for run in runs)}",
        f"again: {_command(result, max(run.result.key.seed for run in runs) + 1)}",
    )
    return tuple(map(printable, lines))


def _command(result: Result, seeds: int) -> str:
    """What repeats the runs where their results are not stored yet."""
    named, root = f"{result.key.backbone}={result.spec}", f"{result.key.dataset}={result.data.root}"
    options = ["--backbone", named, "--suite", result.suite, "--tasks", result.key.task, "--data", root]
    return shlex.join(["umt", "run", *options, "--seeds", str(seeds)])


def _distilled_by(result: Result) -> str:
    """The commit that a student's checkpoint names; a file says what it likes, and older ones say nothing."""
    code = result.provenance.get("code")
    return _code(code.get("commit"), code.get("dirty")) if isinstance(code, Mapping) else "of no stated commit"


def _code(commit: object, dirty: object) -> str:
    if commit is None:
        return "not under version control"
    return f"commit {str(commit)[:12]}{' with uncommitted changes' if dirty else ''}"


def _joined(texts: Iterable[str]) -> str:
    """Different texts, each once."""
    return ", ".join(dict.fromkeys(texts))
