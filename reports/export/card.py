"""The model card of an export: the known facts of the model, and "not stated" for the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.building.cells import measured_cell
from reports.building.metrics import get_metric
from reports.building.notes import column_note
from reports.results.measurement import Measurement
from reports.results.store import ANALYSIS
from reports.results.students import StudentRecord, student_from
from reports.writers.markdown import escape
from umt.backbones import Backbone
from umt.export.agreement import Exported
from umt.export.licence import stated_licence
from umt.export.targets import Target
from umt.text import printable

NOT_STATED = "not stated"


@dataclass(frozen=True)
class ResultLine:
    """The first metric of a task, mean over runs that differ in their seed alone."""

    data: str
    task: str
    protocol: str  # with version and hash
    metric: str
    value: str
    runs: int
    note: str


def model_card(backbone: Backbone, target: Target, exported: Exported, results: Sequence[ResultLine]) -> str:
    """Write the card in Markdown; fields for the Hugging Face hub come first if the target is one."""
    student = student_from(backbone.provenance, backbone.architecture)
    text = _template().render(
        target=target.name,
        backbone=backbone,
        spaces=_spaces(backbone.provenance),
        parameters=sum(value.numel() for value in backbone.parameters()),
        student=student,
        teachers=[(teacher, stated_licence(teacher.backbone, teacher.weights)) for teacher in student.teachers]
        if student
        else [],
        recipe=_recipe(backbone, student),
        data=_data(backbone.provenance.get("data")),
        exported=exported,
        results=results,
        not_stated=NOT_STATED,
    )
    return (_front_matter(backbone, student) if target.hub else "") + text


def _spaces(provenance: Mapping[str, Any]) -> list[str]:
    """Return the names of the heads that a student is seen through."""
    readout = provenance.get("readout")
    names = readout.values() if isinstance(readout, Mapping) else [provenance.get("space")]
    return list(dict.fromkeys(str(name) for name in names if name))


def _front_matter(backbone: Backbone, student: StudentRecord | None) -> str:
    """Return the fields for the hub, without a licence: only the publisher of the weights can state it."""
    fields = {
        "library_name": "timm",
        "pipeline_tag": "image-feature-extraction",
        "tags": ["timm", "umt-bench", "knowledge-distillation", printable(backbone.architecture)],
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False)}---\n"


def _recipe(backbone: Backbone, student: StudentRecord | None) -> Markup | None:
    """Return the recipe as a YAML file, unchanged; nothing in it can end the block of code."""
    if student is None:
        return None
    return Markup(yaml.safe_dump(backbone.provenance["recipe"], sort_keys=False).replace("```", "'''"))


def _data(data: Any) -> dict[str, Any]:
    """Return the file's description of the images; of a folder only the name, because cards are published."""
    stated = data if isinstance(data, dict) else {}
    return {
        "images": stated.get("images", NOT_STATED),
        "origin": PurePath(str(stated.get("origin", NOT_STATED))).name,
        "fingerprint": stated.get("fingerprint", NOT_STATED),
    }


def _template() -> Any:
    """Load the template, which escapes every text that is filled in unless it is marked as Markdown."""
    environment = Environment(
        loader=PackageLoader("reports", "export"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
        finalize=lambda value: value if isinstance(value, Markup) else escape(str(value)),
    )
    return environment.get_template("card.md.j2")


def results_of(measurements: Sequence[Measurement]) -> list[ResultLine]:
    """Return a line for each task, data and protocol; comparisons with other backbones are not results of the model."""
    jobs: dict[tuple[str, ...], list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        key = measurement.key
        if measurement.result.suite != ANALYSIS:
            job = (key.task, key.dataset, key.protocol, key.protocol_hash, key.data_fingerprint)
            jobs[job].append(measurement)
    return [_line(runs) for _, runs in sorted(jobs.items())]


def _line(runs: Sequence[Measurement]) -> ResultLine:
    result, key = runs[0].result, runs[0].key
    name = next(iter(result.metrics))  # the metric that tables show is declared first
    metric = get_metric(name, result)
    cell = measured_cell(runs, name, metric)
    unit = f" ({metric.unit})" if metric.unit else ""
    return ResultLine(
        data=result.data.title,
        task=key.task,
        protocol=f"{key.protocol} version {result.protocol_version} ({key.protocol_hash})",
        metric=f"{metric.label}{unit} {'↑' if metric.higher_is_better else '↓'}",
        value=cell.text,
        runs=cell.runs,
        note=column_note(result.data.title, [result]),
    )
