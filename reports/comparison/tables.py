"""The tables of a comparison: backbones, pairs, power, agreement of columns, and the items that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from string import ascii_lowercase

from reports.building.metrics import ShownMetric
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.comparison.deciding import Decision, DifferencePart
from reports.paired.power import POWER, PairPower, pair_powers
from reports.paired.ranks import ColumnAgreement, OverallRanks
from reports.paired.verdicts import ColumnVerdict, PairVerdict
from umt.text import printable

RANK = ShownMetric("average rank", "", higher_is_better=False, decimals=2)
BEST = ShownMetric("probability of being best", "", decimals=2)
TAU = ShownMetric("Kendall's tau", "", decimals=2)
BACKBONES = (
    "Value and 95% interval over other test items and seeds. Backbones that share a letter in a column are not "
    "separated by any paired test, corrected for all pairs of the column; bold: not separated from the best."
)
PAIRS = (
    "The first minus the second on the same items, 95% interval, and p after Holm's correction over the columns of the "
    "pair. *: p is below 0.05. °: the two unpaired intervals would say otherwise."
)
POWERS = (
    f"The difference that the column finds in {POWER:.0%} of cases at p below 0.05, and the items or the seeds, the "
    "other unchanged, that would find the difference that was seen."
)
AGREEMENTS = "Does one column predict the order of backbones in the other? 1: the same order, -1: the reverse order."


def backbone_table(verdicts: Sequence[ColumnVerdict], overall: OverallRanks | None) -> Table:
    """Build a row for each backbone: average rank, probability of being best, and each column's value and groups."""
    columns = [TableColumn(verdict.column.heading, verdict.column.metric) for verdict in verdicts]
    names = list(dict.fromkeys(name for verdict in verdicts for name in verdict.column.names))
    if overall:
        columns = [TableColumn("All", RANK), TableColumn("All", BEST), *columns]
        names.sort(key=lambda name: overall.ranks[overall.names.index(name)] if name in overall.names else len(names))
    rows = [
        Row(
            (name,),
            (
                *(_overall_cells(overall, name) if overall else ()),
                *(_value_cell(verdict, name) for verdict in verdicts),
            ),
        )
        for name in names
    ]
    notes = [_column_note(verdict) for verdict in verdicts]
    if overall:
        notes.append(_overall_note(overall))
    return _table("compare", "Backbones compared", BACKBONES, ("Backbone",), columns, rows, notes)


def pair_table(verdicts: Sequence[ColumnVerdict]) -> Table:
    """Build a row for each pair: difference, interval and corrected p in each column."""
    return _by_pair("compare-pairs", "Differences of pairs", PAIRS, verdicts, lambda verdict: verdict.pairs, _pair_cell)


def power_table(verdicts: Sequence[ColumnVerdict]) -> Table:
    """Build a row for each pair: the difference that a column detects, and the items and seeds that are needed."""
    return _by_pair("compare-power", "Power of each column", POWERS, verdicts, pair_powers, _power_cell)


def agreement_table(agreements: Sequence[ColumnAgreement]) -> Table:
    """Build a row for each two columns: Kendall's tau."""
    rows = [
        Row(
            (f"{agreement.first} / {agreement.second}",),
            (Cell(f"{agreement.tau:+.2f} p {agreement.p:.2g}", agreement.tau),),
        )
        for agreement in agreements
    ]
    columns = (TableColumn(f"{agreements[0].backbones} backbones", TAU),)
    return _table("compare-agreement", "Agreement of columns", AGREEMENTS, ("Columns",), columns, rows)


def decision_table(decision: Decision, index: int) -> Table:
    """Build the items and the classes that decide a column between two backbones."""
    column, pair = decision.column, f"{decision.first} − {decision.second}"
    metric = ShownMetric(f"part of {pair}", column.metric.unit, column.metric.higher_is_better, decimals=3)
    parts = (("Items", decision.top_items), ("Classes, each alone", decision.top_classes))
    groups = tuple(Group(title, tuple(_part_row(part) for part in members)) for title, members in parts if members)
    caption = "The items with the largest part in the difference for either side, and the classes that differ most."
    return Table(
        f"compare-items-{index}", f"Deciding items of {column.heading}", caption, "", ("Item",),
        (TableColumn(column.heading, metric),), groups, (),
    )  # fmt: skip


def _table(
    name: str,
    title: str,
    caption: str,
    headings: tuple[str, ...],
    columns: Sequence[TableColumn],
    rows: Sequence[Row],
    notes: Iterable[str] = (),
) -> Table:
    return Table(name, title, caption, "", headings, tuple(columns), (Group("", tuple(rows)),), tuple(notes))


def _by_pair(
    name: str,
    title: str,
    caption: str,
    verdicts: Sequence[ColumnVerdict],
    entries: Callable[[ColumnVerdict], Iterable[PairVerdict | PairPower]],
    cell: Callable[[ColumnVerdict, PairVerdict | PairPower], Cell],
) -> Table:
    """Build a table with a row for each pair and a column for each column."""
    cells: dict[tuple[str, str], dict[int, Cell]] = {}
    for index, verdict in enumerate(verdicts):
        for entry in entries(verdict):
            pair = entry.pair if isinstance(entry, PairPower) else entry
            cells.setdefault((pair.first, pair.second), {})[index] = cell(verdict, entry)
    rows = [
        Row((f"{first} − {second}",), tuple(of_pair.get(index, Cell()) for index in range(len(verdicts))))
        for (first, second), of_pair in cells.items()
    ]
    columns = [TableColumn(verdict.column.heading, verdict.column.metric) for verdict in verdicts]
    return _table(name, title, caption, ("Difference",), columns, rows)


def _pair_cell(verdict: ColumnVerdict, pair: PairVerdict | PairPower) -> Cell:
    assert isinstance(pair, PairVerdict)
    digits = verdict.column.metric.decimals
    low, high = (f"{end:+.{digits}f}" for end in pair.interval)
    marks = f"{' *' if pair.holds else ''}{' °' if pair.holds == pair.overlap else ''}"
    text = f"{pair.difference:+.{digits}f} [{low}, {high}] p {pair.corrected_p:.2g}{marks}"
    return Cell(text, pair.difference, runs=len(verdict.column.seeds), explain=lambda: _origin(verdict, pair))


def _origin(verdict: ColumnVerdict, pair: PairVerdict) -> list[str]:
    column = verdict.column
    return [
        f"{len(column.items)} items, seeds {', '.join(map(str, column.seeds))}",
        f"{pair.test} p {pair.p:.3g}, after Holm's correction over columns {pair.corrected_p:.3g}",
        f"as if of different items p {pair.unpaired_p:.3g}",
    ]


def _power_cell(verdict: ColumnVerdict, power: PairVerdict | PairPower) -> Cell:
    assert isinstance(power, PairPower)
    digits = verdict.column.metric.decimals
    needed = "; ".join(
        f"{word} {count:,}" if count else f"no number of {word}"
        for word, count in (("items", power.items_needed), ("seeds", power.seeds_needed))
        if word == "items" or verdict.column.seeded
    )
    return Cell(f"{power.detectable:.{digits}f} ({needed})", power.detectable)


def _overall_cells(overall: OverallRanks, name: str) -> tuple[Cell, Cell]:
    if name not in overall.names:
        return Cell(), Cell()
    index = overall.names.index(name)
    low, high = overall.intervals[index]
    rank, best = overall.ranks[index], overall.best[index]
    return Cell(f"{rank:.2f} [{low:.2f}, {high:.2f}]", rank), Cell(f"{best:.2f}", best)


def _value_cell(verdict: ColumnVerdict, name: str) -> Cell:
    column = verdict.column
    if name not in column.scores:
        return Cell()
    value, digits = float(column.means[column.names.index(name)]), column.metric.decimals
    low, high = verdict.intervals[name]
    letters = "".join(ascii_lowercase[index % 26] for index, names in enumerate(verdict.groups) if name in names)
    text = f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] {letters}"
    return Cell(text, value, runs=len(column.seeds), best=name in verdict.groups[0])


def _column_note(verdict: ColumnVerdict) -> str:
    column = verdict.column
    seeds = "1 seed" if len(column.seeds) == 1 else f"{len(column.seeds)} seeds"
    words = f"{column.heading}: {len(column.items)} items, {seeds}"
    return printable(f"{words}." if column.seeded else f"{words}; no training noise is in the intervals.")


def _overall_note(overall: OverallRanks) -> str:
    friedman = "" if overall.friedman_p is None else f"; Friedman's test p {overall.friedman_p:.2g}"
    return (
        f"Average ranks are over {overall.columns} columns, their intervals over other columns, items and seeds. "
        f"Nemenyi's critical difference is {overall.critical_difference:.2f}{friedman}."
    )


def _part_row(part: DifferencePart) -> Row:
    return Row((printable(part.name),), (Cell(f"{part.effect:+.3f}", part.effect),))
