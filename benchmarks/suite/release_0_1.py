"""Suite and protocol files of release 0.1, with former names of fields. This module goes with the next release."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umt.text import printable

FIELDS = {
    "columns": ("table1", "Fine-tuning, segmentation and depth"),
    "probes": ("probes", "Frozen features"),
    "zeroshot": ("zeroshot", "Zero-shot classification"),
    "costs": ("costs", "Size and speed"),
}
RENAMED = {"ade20k_linear": {"device_batch": "bn_batch"}, "nyuv2_depth": {"device_batch": "bn_batch"}}


def with_new_names(record: Mapping[str, Any], task: str, path: Path) -> dict[str, Any]:
    """Return the record of a protocol with today's names of its fields; warn if the file has former ones."""
    names = RENAMED.get(task, {})
    for name in names.keys() & record.keys():
        message = f"{path}: field '{name}' is now '{names[name]}' for task '{task}'; the next release reads that alone"
        warnings.warn(printable(message), FutureWarning, stacklevel=3)
    return {names.get(name, name): value for name, value in record.items()}


def with_tables(record: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the record of a suite with its tables under `tables`; warn if the file has them elsewhere."""
    old = [name for name in FIELDS if name in record]
    plans = record.get("tables", {})
    if not (old or isinstance(plans, list)) or not isinstance(plans, list | dict):
        return dict(record)
    tables = {FIELDS[name][0]: {"title": FIELDS[name][1], "columns": record[name]} for name in old if record[name]}
    if isinstance(plans, list):
        if not all(isinstance(plan, dict) and "number" in plan for plan in plans):
            return dict(record)
        plans = {f"table{plan['number']}": _without_number(plan) for plan in plans if plan["number"] != 1}
    example = (
        "tables: {table1: {title: ..., columns: [...]}, probes: {title: ..., columns: [...]}, table2: {jobs: [...]}}"
    )
    fields = ", ".join([*old, *(["tables as a list"] if isinstance(record.get("tables"), list) else [])])
    message = f"{path}: {fields}: the next release reads tables by their names alone; write them as {example}"
    warnings.warn(printable(message), FutureWarning, stacklevel=3)
    return {**{name: value for name, value in record.items() if name not in FIELDS}, "tables": {**tables, **plans}}


def _without_number(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plan.items() if name != "number"}
