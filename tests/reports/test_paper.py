"""The published numbers are those of the paper."""

from __future__ import annotations

import pytest

from benchmarks.suite.suite import load_suite
from reports.exchange.hub import quoted_faults
from reports.paper import paper_table
from reports.results.quoted import quoted_beside, quoted_file

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
    (row,) = [row for row in paper_table(1).rows if row.labels[:3] == (method, architecture, setting)]
    assert [row.values[name] for name in SCORES] == scores.split()


def test_official_results_of_table_1():
    assert [row.model for row in paper_table(1).rows if row.repeated] == [
        "Proteus",
        "RADIOv2.5",
        "Proteus",
        "RADIOv2.5",
    ]
    assert len(paper_table(1).rows) == 21


def test_the_columns_of_table_1_are_those_of_the_suite():
    columns = load_suite("paper").tables["table1"].columns
    assert {column.measurement for column in paper_table(1).columns.values()} == {one.measurement for one in columns}


@pytest.mark.parametrize(
    ("number", "rows", "label", "value"),
    [
        (2, 4, ("teacher_mae", "ViT-B/16"), ("dino_loss_sum", "0.60")),
        (3, 4, ("setting", "w/o intra-space module"), ("model_token_loss", "3.56")),
        (4, 4, ("setting", "CLS head"), ("cub_acc", "79.7")),
        (5, 2, ("setting", "Cosine"), ("average", "92.4")),
        (6, 4, ("setting", "patch"), ("cka_dinov3", "0.73")),
        (7, 2, ("teacher_3", "DINO-v3 (ViT-B/16)"), ("nyuv2_rmse", "0.349")),
    ],
)
def test_tables_of_students_are_quoted_as_printed(number, rows, label, value):
    table = paper_table(number)
    assert (len(table.rows), table.stands_in, table.cite) == (rows, f"table{number}", "paper")
    name, text = value
    assert [row for row in table.rows if row.label(label[0]) == label[1] and row.values.get(name) == text]
    assert quoted_faults(table) == []


@pytest.mark.parametrize("number", range(1, 8))
def test_a_table_of_the_paper_can_be_imported(number, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "quoted").mkdir()
    (tmp_path / "quoted" / "t.yaml").write_bytes(quoted_file(paper_table(number)))
    assert quoted_beside(tmp_path / "results") == ([paper_table(number)], [])
