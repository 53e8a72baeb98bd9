"""The published numbers are those of the paper."""

from __future__ import annotations

import pytest

from benchmarks.suite.suite import load_suite
from reports.paper import paper_numbers, published_table

SCORES = ("imagenet", "aircraft", "caltech101", "cub", "ade20k", "nyuv2")


@pytest.mark.parametrize(
    ("method", "architecture", "setting", "scores"),
    [
        ("UMT", "ViT-B/16", "ViT->ViT", "85.6 90.3 94.3 89.2 46.5 0.300"),
        ("UMT", "ViT-L/16", "ViT->ViT", "87.5 92.1 93.8 91.4 50.3 0.258"),
        ("MAE", "ResNet-50", "", "65.0 83.6 88.0 71.7 15.83 0.428"),
        ("UMT", "ConvNeXt-B", "ViT->CNN", "84.1 90.0 93.5 88.7 34.7 0.349"),
    ],
)
def test_rows_of_table_1(method, architecture, setting, scores):
    (row,) = [row for row in paper_numbers().rows if row.labels[:3] == (method, architecture, setting)]
    assert [row.values[name] for name in SCORES] == scores.split()


def test_official_results_of_table_1():
    assert [row.model for row in paper_numbers().rows if row.repeated] == [
        "Proteus",
        "RADIOv2.5",
        "Proteus",
        "RADIOv2.5",
    ]
    assert len(paper_numbers().rows) == 21


def test_the_columns_of_table_1_are_those_of_the_suite():
    columns = load_suite("paper").tables["table1"].columns
    assert {column.measurement for column in paper_numbers().columns.values()} == {one.measurement for one in columns}


@pytest.mark.parametrize(("number", "rows"), [(2, 4), (3, 4), (4, 4), (5, 2), (6, 4), (7, 2)])
def test_every_table_is_there(number, rows):
    assert len(published_table(number)) == rows
