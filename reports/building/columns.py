"""Turn the columns of a suite into columns that hold only numbers which may be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from reports.building.declaration import AskedColumn
from reports.building.metrics import Metric, get_metric
from reports.results.measurement import Measurement, Setup
from umt.text import printable


@dataclass(frozen=True)
class MeasuredColumn:
    """Measurements of one asked column on the same data by the same protocol; empty if nothing was measured."""

    asked: AskedColumn
    heading: str
    measurements: tuple[Measurement, ...] = ()

    @property
    def example(self) -> Setup:
        """Any setup of the column: all agree in data and protocol."""
        return self.measurements[0].setup

    @property
    def metric(self) -> Metric:
        """The metric of the column's numbers."""
        return get_metric(self.asked.metric, self.example if self.measurements else None)


def comparable_columns(asked: Sequence[AskedColumn], measurements: Iterable[Measurement]) -> list[MeasuredColumn]:
    """Return a column for each asked one, and more if its results differ in data or protocol: the newest first."""
    setups: dict[int, list[Measurement]] = defaultdict(list)
    for one in measurements:
        setups[id(one.setup)].append(one)
    measured: dict[tuple[str, str, str], list[list[Measurement]]] = defaultdict(list)
    for alike in setups.values():
        setup = alike[0].setup
        measured[setup.task, setup.dataset, setup.protocol].append(alike)
    return _distinct(
        [column for one in asked for column in _split(one, measured[one.task, one.dataset, one.protocol_name])]
    )


def _split(asked: AskedColumn, setups: Sequence[Sequence[Measurement]]) -> list[MeasuredColumn]:
    """Split the measurements of a task, data set and protocol into columns where data or protocol differ."""
    parts: dict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    for alike in setups:
        setup = alike[0].setup
        data, age = setup.data, -setup.protocol_version
        parts[not data.official, age, setup.protocol_hash, data.title, setup.data_fingerprint] += alike
    if not parts:
        return [MeasuredColumn(asked, asked.heading)]
    return [MeasuredColumn(asked, _heading(asked, part[0].setup), tuple(part)) for _, part in sorted(parts.items())]


def _heading(asked: AskedColumn, setup: Setup) -> str:
    """Return the heading: the suite's is the official name, so it stands over official data only."""
    return asked.heading if setup.data.official else printable(setup.data.title)


WORDS = {  # for people; a task from outside is called by its own name
    "imagenet_finetune": "fine-tuned",
    "finegrained_finetune": "fine-tuned",
    "finegrained_linear": "linear",
    "dinov2_linear": "DINOv2's linear",
    "fewshot": "few-shot",
    "knn": "k-NN",
    "ade20k_linear": "linear",
    "nyuv2_depth": "depth",
}


def task_words(task: str) -> str:
    """Return the words for a task in a heading."""
    return WORDS.get(task, task)


TRAITS: tuple[Callable[[MeasuredColumn], str], ...] = (
    lambda column: task_words(column.asked.task),
    lambda column: f"protocol {column.asked.protocol_name}",
    lambda column: f"protocol hash {column.example.protocol_hash[:8]}" if column.measurements else "",
    lambda column: f"data {column.example.data_fingerprint[:8]}" if column.measurements else "",
)


def _distinct(columns: list[MeasuredColumn]) -> list[MeasuredColumn]:
    """Add to equal headings the first traits in which their columns differ."""
    for trait in TRAITS:
        namesakes = defaultdict(set)
        for column in columns:
            namesakes[column.heading].add(trait(column))
        columns = [
            replace(column, heading=f"{column.heading}, {trait(column)}")
            if trait(column) and len(namesakes[column.heading]) > 1
            else column
            for column in columns
        ]
    return columns
