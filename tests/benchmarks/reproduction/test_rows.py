"""The suite of rows on real photographs: its protocols resolve, at a side that patches of 14 and 16 pixels divide."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks.reproduction
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.registry import get_task

SUITE = load_suite(str(Path(benchmarks.reproduction.__file__).parent / "rows" / "suite.yaml"))


@pytest.mark.parametrize("column", SUITE.measured, ids=lambda column: f"{column.task} {column.dataset}")
def test_its_protocols_resolve(column) -> None:  # type: ignore[no-untyped-def]
    settings = load_protocol(column.task, column.protocol, get_task(column.task).settings).settings
    if column.protocol.endswith(".yaml") and hasattr(settings, "resolution"):
        assert settings.resolution % 14 == settings.resolution % 16 == 0


def test_every_kind_of_row_is_in_it() -> None:
    assert SUITE.tasks > {"knn", "finegrained_linear", "attentive", "fewshot", "retrieval", "diagnostics"}
    assert SUITE.tasks > {"knn_segmentation", "ade20k_linear", "nyuv2_depth", "nyuv2_normals", "view_correspondence"}
