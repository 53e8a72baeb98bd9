"""Turn the columns of a suite into columns that hold only numbers which may be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.results import Result
from benchmarks.suite.suite import COST_TASKS, Column
from reports.building.metrics import ShownMetric, get_metric
from reports.results.measurement import Measurement
from umt.text import printable


@dataclass(frozen=True)
class MeasuredColumn:
    """Measurements of a suite's column on the same data by the same protocol; empty if nothing was measured."""

    declared: Column
    heading: str
    measurements: tuple[Measurement, ...] = ()

    @property
    def results(self) -> list[Result]:
        """A result of each measurement."""
        return [measurement.result for measurement in self.measurements]

    @property
    def example(self) -> Result:
        """Any result of the column: all agree in data and protocol."""
        return self.measurements[0].result

    @property
    def metric(self) -> ShownMetric:
        """The metric of the column's numbers."""
        return get_metric(self.declared.metric, self.example if self.measurements else None)


def comparable_columns(columns: Sequence[Column], measurements: Iterable[Measurement]) -> list[MeasuredColumn]:
    """Return each column of a suite, and more if its results differ in data or protocol: the newest first."""
    measured: dict[tuple[str, str, str], list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        key = measurement.key
        measured[key.task, key.dataset, key.protocol].append(measurement)
    return _distinct(
        [
            part
            for column in columns
            for part in _split(column, measured[column.task, column.dataset, column.protocol_name])
        ]
    )


def _split(column: Column, measurements: Sequence[Measurement]) -> list[MeasuredColumn]:
    """Split the measurements of a task, data set and protocol into columns where data or protocol differ."""
    parts: dict[tuple[bool, int, str, str, str], list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        result, key = measurement.result, measurement.key
        age = -result.protocol_version
        parts[not result.data.official, age, key.protocol_hash, result.data.title, key.data_fingerprint].append(
            measurement
        )
    if not parts:
        return [MeasuredColumn(column, column.heading)]
    return [MeasuredColumn(column, _heading(column, part[0].result), tuple(part)) for _, part in sorted(parts.items())]


def _heading(column: Column, result: Result) -> str:
    """Return the heading: the suite's is the official name, so it stands over official data and over costs only.

    Over other data stands its title, and the method if the suite's heading names it.
    """
    if result.data.official or column.task in COST_TASKS:
        return column.heading
    title, known = printable(result.data.title), METHODS.get(column.task, (task_words(column.task),))
    methods = [words for words in known if words in column.heading and words not in title]
    return ", ".join([title, *methods])


WORDS = {  # for people; a task from outside is called by its own name
    "imagenet_finetune": "fine-tuned",
    "finegrained_finetune": "fine-tuned",
    "finegrained_linear": "linear",
    "dinov2_linear": "DINOv2's linear",
    "fewshot": "few-shot",
    "knn": "k-NN",
    "zeroshot": "zero-shot",
    "attentive": "attentive",
    "ade20k_linear": "linear",
    "segmentation_linear": "linear",
    "knn_segmentation": "in context",
    "correspondence": "keypoints",
    "view_correspondence": "views",
    "nyuv2_depth": "depth",
    "nyuv2_normals": "normals",
    "video_propagation": "propagation",
}


METHODS = {"attentive": ("efficient probe", "attention pool")}  # of a task whose protocols are methods of their own


def task_words(task: str) -> str:
    """Return the words for a task in a heading."""
    return WORDS.get(task, task)


TRAITS: tuple[Callable[[MeasuredColumn], str], ...] = (
    lambda column: task_words(column.declared.task),
    lambda column: f"{column.declared.resolution} px" if column.declared.resolution else "",
    lambda column: f"protocol {column.declared.protocol_name}",
    lambda column: f"version {column.example.protocol_version}" if column.measurements else "",
    lambda column: f"protocol hash {column.example.key.protocol_hash[:8]}" if column.measurements else "",
    lambda column: f"data {column.example.key.data_fingerprint[:8]}" if column.measurements else "",
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
