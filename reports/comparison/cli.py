"""`umt compare`: paired statistics of a result store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from reports.building.rows import Model, model_names
from reports.comparison.comparison import compare_backbones
from reports.comparison.trainings import results_by_recipe
from reports.paired.best import DRAWS
from reports.results.measurement import Measurement
from reports.results.store import ANALYSIS, newest_store, read_measurements
from reports.writers.files import write_files
from reports.writers.terminal import print_table
from umt import options
from umt.console import Console
from umt.errors import OptionError, ResultError, unknown_name
from umt.text import printable

EPILOG = """\b
Examples:
  umt compare                  all backbones of the newest run below runs/
  umt compare resnet50 vit_base --results runs/paper/results --out compare
  umt compare resnet50 vit_base --power --tasks knn,finegrained_linear
  umt compare UMT Plain --trainings    recipes with several seeds
"""


@click.command(epilog=EPILOG)
@click.argument("backbones", nargs=-1, metavar="[BACKBONE]...")
@options.results("the newest below runs/")
@options.TASKS
@click.option("--trainings", is_flag=True, help="Take backbones named 'NAME seed N' as trainings of one, NAME.")
@click.option("--power", is_flag=True, help="Also print the difference that each column can detect.")
@click.option(
    "--resamples",
    type=click.IntRange(100),
    default=DRAWS,
    show_default=True,
    help="Draws of the paired bootstrap; more make intervals steadier.",
)
@options.data_root()
@options.out()
def compare(
    backbones: tuple[str, ...],
    results: Path | None,
    tasks: tuple[str, ...],
    trainings: bool,
    power: bool,
    resamples: int,
    data_root: Path | None,
    out: Path | None,
) -> None:
    """Compare backbones on the same test items: differences, paired tests, groups and ranks.

    BACKBONE is a label of the result store; without any, all are compared. Results are paired by task, data, protocol
    and seed; what cannot be paired is named. With --out, all numbers are written as CSV, Markdown and JSON, with the
    diagram of ranks; of two backbones also the items that decide, and with --data-root their images.
    """
    results = results or newest_store()
    measurements = [run for run in read_measurements(results) if _is_compared(run, tasks)]
    measurements = results_by_recipe(measurements) if trainings else measurements
    comparison = compare_backbones(measurements, chosen_names(measurements, backbones), resamples, data_root)
    for reason in comparison.left_out:
        click.echo(f"left out: {printable(reason)}", err=True)
    if not comparison.verdicts:
        raise ResultError(f"{results}: no two of these backbones have results that can be paired; see the lines above")
    tables, console = comparison.tables(power=power), Console()
    for table in tables:
        print_table(table, console)
    if out:
        write_files(comparison.files(tables, out, data_root), out, console)


def _is_compared(measurement: Measurement, tasks: Sequence[str]) -> bool:
    return measurement.result.suite != ANALYSIS and (not tasks or measurement.key.task in tasks)


def chosen_names(measurements: Iterable[Measurement], labels: Sequence[str]) -> dict[Model, str]:
    """Return the backbones to compare and their names, in the order that was wanted; all if none is named."""
    names = model_names(measurement.model for measurement in measurements)
    for text in labels:
        if text not in names.values() and text not in {label for label, _ in names}:
            raise unknown_name("backbone of the result store", text, names.values())
    models = _in_order(names, labels) if labels else names
    if len(models) < 2:
        raise OptionError(f"a comparison takes two backbones or more, here is {', '.join(models.values()) or 'none'}")
    return models


def _in_order(names: Mapping[Model, str], labels: Sequence[str]) -> dict[Model, str]:
    return {model: name for text in labels for model, name in names.items() if text in (name, model[0])}
