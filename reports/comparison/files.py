"""The files of a comparison for programs: every number of every pair, item and class."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from io import StringIO
from typing import Any

from reports.comparison.deciding import Decision
from reports.paired.power import PairPower, pair_powers
from reports.paired.ranks import ColumnAgreement, OverallRanks
from reports.paired.verdicts import ColumnVerdict
from reports.writers.csv import spreadsheet_text

PAIR_FIELDS = (
    "column", "task", "dataset", "protocol", "items", "seeds", "first", "second", "difference", "low", "high", "p",
    "test", "corrected_p", "mcnemar_p", "unpaired_p", "unpaired_overlap", "detectable", "items_needed", "seeds_needed",
)  # fmt: skip


def tests_csv(verdicts: Sequence[ColumnVerdict]) -> bytes:
    """Write a line for each pair in each column."""
    return _csv(PAIR_FIELDS, (_pair_line(verdict, power) for verdict in verdicts for power in pair_powers(verdict)))


def items_csv(decisions: Iterable[Decision]) -> bytes:
    """Write a line for each item and class with a part in a difference."""
    fields = ("column", "first", "second", "kind", "name", "effect")
    lines = (
        {
            "column": decision.column.heading,
            "first": decision.first,
            "second": decision.second,
            "kind": kind,
            **asdict(part),
        }
        for decision in decisions
        for kind, parts in (("item", decision.items), ("class", decision.classes))
        for part in parts
    )
    return _csv(fields, lines)


def comparison_json(
    verdicts: Sequence[ColumnVerdict],
    overall: OverallRanks | None,
    agreements: Sequence[ColumnAgreement],
    left_out: Sequence[str],
) -> bytes:
    """Write everything but the single items."""
    content = {
        "columns": [_column(verdict) for verdict in verdicts],
        "overall": None if overall is None else asdict(overall),
        "agreement": [asdict(agreement) for agreement in agreements],
        "left_out": list(left_out),
    }
    return json.dumps(content, indent=1).encode()


def _column(verdict: ColumnVerdict) -> dict[str, Any]:
    column = verdict.column
    return {
        "heading": column.heading,
        "metric": asdict(column.metric),
        "protocol_hash": column.example.key.protocol_hash,
        "data_fingerprint": column.example.key.data_fingerprint,
        "backbones": {
            name: {"value": float(value), "interval": verdict.intervals[name], "probability_best": verdict.best[name]}
            for name, value in zip(column.names, column.means, strict=True)
        },
        "groups": verdict.groups,
        "pairs": [_pair_line(verdict, power) for power in pair_powers(verdict)],
    }


def _pair_line(verdict: ColumnVerdict, power: PairPower) -> dict[str, Any]:
    column, pair, key = verdict.column, power.pair, verdict.column.example.key
    values = (
        column.heading, key.task, key.dataset, key.protocol, len(column.items), len(column.seeds), pair.first,
        pair.second, pair.difference, *pair.interval, pair.p, pair.test, pair.corrected_p, pair.mcnemar_p,
        pair.unpaired_p, pair.overlap, power.detectable, power.items_needed, power.seeds_needed,
    )  # fmt: skip
    return dict(zip(PAIR_FIELDS, values, strict=True))


def _csv(fields: Sequence[str], lines: Iterable[dict[str, Any]]) -> bytes:
    buffer = StringIO()
    writer = csv.DictWriter(buffer, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: spreadsheet_text(value) if isinstance(value, str) else value for name, value in line.items()}
        for line in lines
    )
    return buffer.getvalue().encode()
