"""Build a cell from the measurements of a model in a column: mean, deviation over seeds, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from statistics import fmean

from reports.building.metrics import Metric
from reports.building.statistics import mean_and_deviation
from reports.building.table import Cell
from reports.results.measurement import Measurement
from umt.text import printable


def measured_cell(measurements: Sequence[Measurement], name: str, metric: Metric) -> Cell:
    """Return the mean of metric `name` over seeds, and the sample standard deviation from two seeds on."""
    found = [one for one in measurements if one.has(name)]
    if not found:
        return Cell(told=partial(_missing, measurements, name))
    values = [value for one in found for value in one.values(name)]
    mean, std = mean_and_deviation(values)
    return Cell(_text(mean, std, metric.decimals), mean, std, len(values), told=partial(_provenance, found, name))


def loss_cell(losses: Sequence[tuple[Measurement, float]], metric: Metric) -> Cell:
    """Return the mean of losses over students; each loss comes with a result that repeats the student's checkpoint."""
    if not losses:
        return Cell()
    values = [value for _, value in losses]
    mean, std = mean_and_deviation(values)
    lines = [
        f"{one.model.spec}: {value:.6g}, as its checkpoint says; distilled by code "
        f"{_distilled_by(one.model.provenance)}; read from {next(iter(one.files))}"
        for one, value in losses
    ]
    return Cell(_text(mean, std, metric.decimals), mean, std, len(values), told=lambda: map(printable, lines))


def mean_cell(cells: Sequence[Cell], metric: Metric) -> Cell:
    """Return the mean over other cells of a row; a dash if one of them has no value."""
    values = [cell.value for cell in cells if cell.value is not None]
    if len(values) < len(cells):
        return Cell()
    mean = fmean(values)
    return Cell(_text(mean, None, metric.decimals), mean, runs=min(cell.runs for cell in cells))


def published_cell(text: str, number: int) -> Cell:
    """Return a value as the paper prints it."""
    return Cell(text, float(text), runs=1, told=lambda: [f"table {number} of the paper"]) if text else Cell()


def _text(mean: float, std: float | None, decimals: int) -> str:
    deviation = "" if std is None else f" ± {std:.{decimals}f}"
    return f"{mean:.{decimals}f}{deviation}"


def _missing(measurements: Sequence[Measurement], name: str) -> Iterable[str]:
    return [f"no metric '{name}' in {file}" for one in measurements for file in one.files]


def _provenance(found: Sequence[Measurement], name: str) -> Iterable[str]:
    """Describe the origin of the value of a cell; the measurements agree in model and protocol."""
    model, setup = found[0].model, found[0].setup
    runs = sorted(
        (run for one in found for run in zip(one.seeds, one.values(name), one.environments, one.files, strict=True)),
        key=itemgetter(0),
    )
    seeds, values, environments, files = zip(*runs, strict=True)
    lines = (
        f"task {setup.task}, protocol {setup.protocol} version {setup.protocol_version}, hash {setup.protocol_hash}",
        f"data {setup.data.title}, fingerprint {setup.data_fingerprint}",
        f"backbone {model.spec}, weights {model.weights_hash[:12]}",
        f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}: "
        + ", ".join(f"seed {seed} {value:.6g}" for seed, value in zip(seeds, values, strict=True)),
        f"code {_joined(_code(one.commit, one.dirty) for one in environments)}",
        f"device {_joined(one.device for one in environments)}",
        f"files {_joined(files)}",
        f"again: {_command(found[0], seeds[-1] + 1)}",
    )
    return map(printable, lines)


def _command(one: Measurement, seeds: int) -> str:
    """Return the command that repeats the runs if their results are not stored yet."""
    model, setup = one.model, one.setup
    named, root = f"{model.backbone}={model.spec}", f"{setup.dataset}={setup.data.root}"
    options = ["--backbone", named, "--suite", setup.suite, "--tasks", setup.task, "--data", root]
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
