"""The published numbers are those of the paper."""

from __future__ import annotations

import pytest

from reports.paper import published_table

SCORES = ("imagenet_top1", "aircraft_acc", "caltech101_acc", "cub_acc", "ade20k_miou", "nyuv2_rmse")


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
    (line,) = [
        line
        for line in published_table(1)
        if (line["method"], line["student_arch"], line["setting"]) == (method, architecture, setting)
    ]
    assert [line[name] for name in SCORES] == scores.split()


def test_official_results_of_table_1():
    quoted = [line["method"] for line in published_table(1) if line["official_result"]]
    assert quoted == ["Proteus", "RADIOv2.5", "Proteus", "RADIOv2.5"]


@pytest.mark.parametrize(("number", "rows"), [(1, 21), (2, 4), (3, 4), (4, 4), (5, 2), (6, 4), (7, 2)])
def test_every_table_is_there(number, rows):
    assert len(published_table(number)) == rows
