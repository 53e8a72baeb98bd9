"""A whole comparison: all pairs in all columns, ranks over columns, and the files that show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from reports.building.rows import Model
from reports.building.table import Table
from reports.comparison.deciding import Decision, decision
from reports.comparison.files import comparison_json, items_csv, tests_csv
from reports.comparison.pictures import deciding_images
from reports.comparison.tables import agreement_table, backbone_table, decision_table, pair_table, power_table
from reports.figures.critical_difference import critical_difference_diagram
from reports.paired.best import SEED
from reports.paired.pairing import paired_columns
from reports.paired.ranks import ColumnAgreement, OverallRanks, agreements, overall_ranks
from reports.paired.verdicts import ColumnVerdict, verdicts
from reports.report import report_files
from reports.results.measurement import Measurement


@dataclass(frozen=True)
class Comparison:
    """Verdicts on backbones; `decisions` are there if there are two."""

    verdicts: tuple[ColumnVerdict, ...]
    overall: OverallRanks | None
    agreements: tuple[ColumnAgreement, ...]
    decisions: tuple[Decision, ...]
    left_out: tuple[str, ...]  # a line for each setup that cannot be paired

    def tables(self, *, power: bool) -> list[Table]:
        """Build the tables that have rows."""
        if not self.verdicts:
            return []
        tables = [backbone_table(self.verdicts, self.overall), pair_table(self.verdicts)]
        tables += [power_table(self.verdicts)] if power else []
        tables += [agreement_table(self.agreements)] if self.agreements else []
        return tables + [
            decision_table(verdict, index) for index, verdict in enumerate(self.decisions, 1) if verdict.items
        ]

    def files(self, tables: list[Table], out: Path, data_root: Path | None) -> dict[str, bytes]:
        """Return the files by name: the tables in all formats, all numbers, the diagram, and images of `data_root`."""
        ranks = self.overall
        sketches = (
            [critical_difference_diagram(ranks.names, ranks.ranks, ranks.critical_difference, ranks.columns)]
            if ranks
            else []
        )
        files = report_files(tables, sketches, "Comparison", out)
        files["compare-tests.csv"] = tests_csv(self.verdicts)
        files["compare.json"] = comparison_json(self.verdicts, self.overall, self.agreements, self.left_out)
        if self.decisions:
            files["compare-items.csv"] = items_csv(self.decisions)
        return files | self._pictures(data_root)

    def _pictures(self, data_root: Path | None) -> dict[str, bytes]:
        if data_root is None:
            return {}
        figures = [
            deciding_images(decided, data_root, f"compare-items-{index}")
            for index, decided in enumerate(self.decisions, 1)
        ]
        for decided, figure in zip(self.decisions, figures, strict=True):
            if not figure:
                click.echo(
                    f"no pictures of {decided.column.heading}: none of its images is below {data_root}", err=True
                )
        return {f"{figure.name}.png": figure.png for figure in figures if figure}


def compare_backbones(
    measurements: Iterable[Measurement], names: Mapping[Model, str], draws: int, data_root: Path | None = None
) -> Comparison:
    """Compare these backbones on the items that they share; `draws` of the paired bootstrap.

    data_root: tells the names of classes that result files do not keep.
    """
    columns, left_out = paired_columns((run for run in measurements if run.model in names), names)
    column_verdicts = verdicts(columns, draws, SEED)
    two = list(dict.fromkeys(names.values()))
    decisions = tuple(decision(column, *two, data_root=data_root) for column in columns) if len(two) == 2 else ()
    return Comparison(
        tuple(column_verdicts),
        overall_ranks(column_verdicts, SEED),
        tuple(agreements(columns)),
        decisions,
        tuple(left_out),
    )
