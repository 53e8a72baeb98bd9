"""All backbones of a result store, ranked in each column and over columns; incomparable numbers are refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.building.columns import task_words
from reports.building.metrics import Metric, get_metric
from reports.building.notes import column_note
from reports.building.ranking import Standing, estimate, mean_place, standings
from reports.building.rows import model_names
from reports.building.table import DASH, Cell, Column, Group, Row, Table
from reports.results.measurement import Measurement, Setup
from umt.errors import ResultError
from umt.text import printable

PLACE = Metric("mean place", "", higher_is_better=False, decimals=2)
COSTS = ("throughput",)  # tasks whose columns say nothing of the quality of a backbone
CAPTION = (
    "Place, value and 95% interval. Over columns: the mean place, and between which means the intervals leave it open; "
    "only backbones with a value in every column have one. Speed does not count in it."
)


@dataclass(frozen=True)
class Board:
    """A column: all measurements of a task on a data set, by backbone."""

    heading: str
    metric: Metric
    example: Setup
    places: Mapping[str, Standing]


def leaderboard(measurements: Sequence[Measurement]) -> Table:
    """Build the table; UMTError if measurements of one task and data set differ in protocol or data."""
    names = model_names(one.model.key for one in measurements)
    tasks: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for one in measurements:
        tasks[one.setup.task, one.setup.dataset].append(one)
    boards = [_board(part, names) for part in tasks.values()]
    counted = [board for board in boards if board.example.task not in COSTS] or boards
    overall = {name: _overall(counted, name) for name in set(names.values())}
    models = sorted(overall, key=lambda name: ((overall[name] or (len(names) + 1.0,))[0], name))
    rows = tuple(
        Row((name,), (_overall_cell(overall[name]), *(_cell(board, name) for board in boards))) for name in models
    )
    notes = [column_note(board.heading, board.example) for board in boards]
    return Table(
        name="leaderboard",
        title="Leaderboard",
        caption=CAPTION,
        number="",
        label_headings=("Backbone",),
        columns=(Column("All", PLACE), *(Column(board.heading, board.metric) for board in boards)),
        groups=(Group("", rows),),
        notes=tuple(map(printable, notes)),
    )


def _board(measurements: Sequence[Measurement], names: Mapping[tuple[str, str], str]) -> Board:
    example = measurements[0].setup
    _refuse_mixture(measurements)
    metric_name = example.metrics[0]  # the metric that tables show is declared first
    found: dict[str, list[Measurement]] = defaultdict(list)
    for one in measurements:
        found[names[one.model.key]].append(one)
    metric = get_metric(metric_name, example)
    estimates = {name: estimate(part, metric_name) for name, part in found.items()}
    heading = printable(f"{example.data.title}, {task_words(example.task)}")
    return Board(heading, metric, example, standings(estimates, metric.higher_is_better))


def _refuse_mixture(measurements: Sequence[Measurement]) -> None:
    """Raise UMTError if the numbers come from different protocols or data, because ranks then say nothing."""
    found: dict[str, set[str]] = {"protocol": set(), "data": set()}
    for setup in {id(one.setup): one.setup for one in measurements}.values():
        found["protocol"].add(f"{setup.protocol} version {setup.protocol_version} ({setup.protocol_hash[:8]})")
        found["data"].add(f"{setup.data.title} ({setup.data_fingerprint[:8]})")
    for what, values in found.items():
        if len(values) > 1:
            setup = measurements[0].setup
            raise ResultError(
                f"{setup.task} on {setup.dataset}: results of different {what} are not ranked together: "
                f"{'; '.join(sorted(values))}; choose one with --{what}, or leave the task out with --tasks"
            )


Overall = tuple[float, tuple[float, float] | None]  # a mean rank, and the range of means that the intervals allow


def _overall(boards: Sequence[Board], name: str) -> Overall | None:
    places = [board.places[name] for board in boards if name in board.places]
    return mean_place(places) if len(places) == len(boards) else None


def _overall_cell(overall: Overall | None) -> Cell:
    if overall is None:
        return Cell()
    mean, bounds = overall
    between = f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
    return Cell(f"{mean:.2f}{between}", mean)


def _cell(board: Board, name: str) -> Cell:
    if name not in board.places:
        return Cell(DASH)
    one, digits = board.places[name], board.metric.decimals
    place = f"{one.place}" if not one.places or one.places == (one.place, one.place) else "{}–{}".format(*one.places)
    interval = one.estimate.interval
    bounds = f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if interval else ""
    return Cell(f"{place}. {one.estimate.value:.{digits}f}{bounds}", one.estimate.value, best=one.place == 1)
