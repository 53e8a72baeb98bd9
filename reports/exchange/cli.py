"""`umt results`: export a result store, import published numbers, check and show a hub of results."""

from __future__ import annotations

from pathlib import Path

import click

from reports.exchange.hub import quoted_faults, read_hub
from reports.exchange.site import site_files
from reports.results.quoted import FOLDER, quoted_file, read_quoted
from reports.results.store import newest_store
from reports.writers.files import write_files
from umt import options
from umt.console import Console
from umt.errors import DeclarationError
from umt.files import component

EPILOG = """\b
Examples:
  umt results export --to parquet --out runs/paper/export
  umt results export --to hf --hub-dataset cub=ORG/cub --out hf
  umt results import dinov3.yaml --results runs/paper/results
  umt results check hub
  umt results site hub --out page
"""
HUB = click.argument("hub", metavar="DIR", type=options.FOLDER)


@click.group(cls=options.CommandGroup, epilog=EPILOG)
def results() -> None:
    """Export results, import published numbers, check a hub of results and write its page."""


@results.command(epilog=EPILOG)
@options.results("the newest below runs/")
@click.option(
    "--to",
    "form",
    type=click.Choice(["parquet", "csv", "hf", "eee"]),
    required=True,
    help="Format to write.",
)
@options.out(required=True)
@options.mapping(
    "--hub-dataset", "hub_datasets", "NAME=ORG/NAME", str, "Name of a data set on the hub, for hf; may be repeated."
)
@click.option(
    "--organization", default="unknown", show_default=True, help="Name of the publisher of the numbers, for eee."
)
def export(results: Path | None, form: str, out: Path, hub_datasets: dict[str, str], organization: str) -> None:
    """Write results as a table (parquet, csv), for the Hugging Face hub (hf) or for Every Eval Ever (eee)."""
    from reports.exchange.export import ExportOptions, exported  # imports pandas

    write_files(exported(results or newest_store(), form, ExportOptions(hub_datasets, organization)), out, Console())


@results.command("import", epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@options.results("the newest below runs/")
def import_(file: Path, results: Path | None) -> None:
    """Keep the published numbers of FILE beside a result store: its tables show them, as quoted and not measured."""
    table, store = read_quoted(file, links=True), results or newest_store()
    if faults := quoted_faults(table):
        more = f" ({len(faults)} such faults)" if len(faults) > 1 else ""
        raise DeclarationError(f"{file}: {faults[0]}{more}")
    write_files({f"{component(file.stem)}.yaml": quoted_file(table)}, store.parent / FOLDER, Console())


@results.command(epilog=EPILOG)
@HUB
def check(hub: Path) -> None:
    """Check the result files of a hub: a line for each fault, and exit status 1 if there is one."""
    content = read_hub(hub)
    for fault in content.faults:
        click.echo(fault)
    click.echo(
        f"results without fault: {len(content.measurements)}, published tables: {len(content.quoted)}, "
        f"faults: {len(content.faults)}",
        err=True,
    )
    if content.faults:
        raise click.exceptions.Exit(1)


@results.command(epilog=EPILOG)
@HUB
@options.out(required=True)
def site(hub: Path, out: Path) -> None:
    """Write the public page of a hub: a ranking, all tables, and the result files behind the numbers.

    Results with a fault are named and left out.
    """
    content = read_hub(hub)
    for fault in content.faults:
        click.echo(f"left out: {fault}", err=True)
    write_files(site_files(content), out, Console())
