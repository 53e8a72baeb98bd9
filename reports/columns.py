"""From what a suite asks for to columns that hold only numbers which may be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.results import Result
from reports.declaration import AskedColumn
from reports.metrics import Metric, get_metric
from reports.store import Record
from reports.table import printable


@dataclass(frozen=True)
class MeasuredColumn:
    """Results of one asked column on the same data by the same protocol; none where nothing was measured."""

    asked: AskedColumn
    heading: str
    records: tuple[Record, ...] = ()

    @property
    def example(self) -> Result:
        """Any of its results: they agree in data and protocol."""
        return self.records[0].result

    @property
    def metric(self) -> Metric:
        """What its numbers are."""
        return get_metric(self.asked.metric, self.example if self.records else None)


def comparable_columns(asked: Sequence[AskedColumn], records: Iterable[Record]) -> list[MeasuredColumn]:
    """One column for each asked one, and more where its results differ in data or protocol: the newest first."""
    measured: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        key = record.result.key
        measured[key.task, key.dataset, key.protocol].append(record)
    return _distinct(
        [column for one in asked for column in _split(one, measured[one.task, one.dataset, one.protocol_name])]
    )


def _split(asked: AskedColumn, records: Sequence[Record]) -> list[MeasuredColumn]:
    """The records of its task, data set and protocol, apart where data or protocol differ all the same."""
    parts: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in records:
        key, data, age = record.result.key, record.result.data, -record.result.protocol_version
        parts[not data.official, age, key.protocol_hash, data.title, key.data_fingerprint].append(record)
    if not parts:
        return [MeasuredColumn(asked, asked.heading)]
    return [MeasuredColumn(asked, _heading(asked, part[0]), tuple(part)) for _, part in sorted(parts.items())]


def _heading(asked: AskedColumn, record: Record) -> str:
    """The suite's heading is the official name, so it stands over official data only."""
    return asked.heading if record.result.data.official else printable(record.result.data.title)


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
    """What a heading calls a task."""
    return WORDS.get(task, task)


TRAITS: tuple[Callable[[MeasuredColumn], str], ...] = (
    lambda column: task_words(column.asked.task),
    lambda column: f"protocol {column.asked.protocol_name}",
    lambda column: f"protocol hash {column.example.key.protocol_hash[:8]}" if column.records else "",
    lambda column: f"data {column.example.key.data_fingerprint[:8]}" if column.records else "",
)


def _distinct(columns: list[MeasuredColumn]) -> list[MeasuredColumn]:
    """Columns of the same heading get the first traits in which they differ behind it."""
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
