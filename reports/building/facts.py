"""The head of a report: when and on what its numbers were measured, how many there are, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.results import Environment
from reports.building.table import Table
from reports.results.measurement import Measurement
from umt.text import printable

Fact = tuple[str, str]  # a word, and what stands behind it
SHOWN_PACKAGES = ("umt-bench", "torch", "timm", "onedl-mmsegmentation")
MAX_MISSING = 12  # columns that are named as incomplete


def facts_of(measurements: Sequence[Measurement], tables: Sequence[Table]) -> tuple[Fact, ...]:
    """Return the facts about a report, none without a measurement."""
    if not measurements:
        return ()
    environments = [measurement.result.environment for measurement in measurements]
    days = sorted(environment.started[:10] for environment in environments)
    dates = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    facts = (
        ("Measured", dates),
        ("On", _joined(environment.device for environment in environments)),
        ("With", _joined(_versions(environments))),
        ("Jobs", _jobs(measurements)),
        ("Missing", _missing(tables)),
    )
    return tuple((name, printable(text)) for name, text in facts)


def _jobs(measurements: Sequence[Measurement]) -> str:
    hours = sum(measurement.result.wall_seconds for measurement in measurements) / 3600
    models = len({measurement.model for measurement in measurements})
    backbones = f"{models} backbone{'' if models == 1 else 's'}"
    return f"{len(measurements)} with a result, of {backbones}, {hours:.2g} hours of work"


def _versions(environments: Sequence[Environment]) -> Iterator[str]:
    for environment in environments:
        yield f"Python {environment.python}"
        yield from (f"{name} {environment.packages[name]}" for name in SHOWN_PACKAGES if name in environment.packages)


def _missing(tables: Sequence[Table]) -> str:
    """Count the numbers that our rows lack, and name their columns."""
    cells = [
        (column.heading, row.cells[index].value is None)
        for table in tables
        for row in table.measured_rows
        for index, column in enumerate(table.columns)
    ]
    lacking = list(dict.fromkeys(heading for heading, missing in cells if missing))
    if not lacking:
        return "nothing"
    more = f" and {len(lacking) - MAX_MISSING} more" if len(lacking) > MAX_MISSING else ""
    count = sum(missing for _, missing in cells)
    return f"{count} of {len(cells)} numbers, in {', '.join(lacking[:MAX_MISSING])}{more}"


def _joined(texts: Iterator[str]) -> str:
    """Join different texts, each once."""
    return ", ".join(dict.fromkeys(texts))
