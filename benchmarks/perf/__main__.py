"""`python -m benchmarks.perf [NAME ...]`: run benchmarks (all by default) and print their rows."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

from rich.console import Console
from rich.table import Table

import benchmarks.perf
from umt.errors import unknown_name

NOT_BENCHMARKS = {"row", "__main__"}


def main() -> None:
    """Print peer, ours, ratio, limit and error of each row."""
    known = sorted({module.name for module in pkgutil.iter_modules(benchmarks.perf.__path__)} - NOT_BENCHMARKS)
    table = Table("job", "peer", "peer s", "ours s", "ratio", "limit", "error")
    for name in sys.argv[1:] or known:
        if name not in known:
            sys.exit(f"umt: {unknown_name('benchmark', name, known)}")
        for row in import_module(f"benchmarks.perf.{name}").measure():
            seconds = (f"{row.peer_seconds:.4g}", f"{row.our_seconds:.4g}")
            verdict = "[green]" if row.ratio >= row.limit else "[red]"
            table.add_row(row.job, row.peer, *seconds, f"{verdict}{row.ratio:.1f}", f"{row.limit:g}", row.error)
    Console().print(table)


if __name__ == "__main__":
    main()
