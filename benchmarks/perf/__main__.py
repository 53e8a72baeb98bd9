"""`python -m benchmarks.perf [NAME ...] [--device cuda]`: run benchmarks (all by default), or `--list` them."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import click
import torch
from rich.table import Table

import benchmarks.perf
from benchmarks.perf.machine import about
from benchmarks.perf.row import PerfRow
from umt.console import Console
from umt.errors import UMTError, unknown_name
from umt.training.device import pick_device

NOT_BENCHMARKS = {"row", "machine", "distilling", "ade_logits", "many_backbones", "table1_work", "sizes", "__main__"}
BENCHMARKS = sorted({module.name for module in pkgutil.iter_modules(benchmarks.perf.__path__)} - NOT_BENCHMARKS)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--list", "listed", is_flag=True, help="Print the benchmarks, and run none.")
@click.option("--device", "device_name", default="cpu", show_default=True, help="auto, cpu, cuda or cuda:N.")
def main(names: tuple[str, ...], listed: bool, device_name: str) -> None:
    """Print peer, ours, ratio, limit, shares of peak and loader, and note of each row."""
    if listed:
        Console().print(catalogue())
        return
    try:
        device = pick_device(device_name)
        for name in names:
            if name not in BENCHMARKS:
                raise unknown_name("benchmark", name, BENCHMARKS)
        torch.set_num_threads(1)  # figures of several threads are unreliable if the machine has other work
        rows = [row for name in names or BENCHMARKS for row in import_module(f"benchmarks.perf.{name}").measure(device)]
    except UMTError as error:
        raise click.ClickException(error.coded) from error
    Console().print(table(rows, about(device)))


def catalogue() -> Table:
    """Return the benchmarks with the first line of their docstrings."""
    printed = Table("name", "benchmark")
    for name in BENCHMARKS:
        printed.add_row(name, (import_module(f"benchmarks.perf.{name}").__doc__ or "").partition("\n")[0])
    return printed


def table(rows: list[PerfRow], caption: str) -> Table:
    """Return the rows as a table for people."""
    headings = ("job", "peer", "peer's", "ours", "ratio", "limit", "of peak", "loader", "note")
    printed = Table(*headings, caption=caption)
    for row in rows:
        costs = (f"{row.theirs:.4g} {row.unit}", f"{row.ours:.4g} {row.unit}")
        shares = (_percent(row.peak_share), _percent(row.loader_share))
        verdict = "[green]" if row.ratio >= row.limit else "[red]"
        printed.add_row(row.job, row.peer, *costs, f"{verdict}{row.ratio:.3g}", f"{row.limit:.3g}", *shares, row.note)
    return printed


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


if __name__ == "__main__":
    main()
