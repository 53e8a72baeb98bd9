"""CSV survives the way through pandas."""

from __future__ import annotations

from io import StringIO

import pandas as pd

from reports.writers.csv import csv_table


def test_round_trip_with_pandas(table, hostile):
    frame = pd.read_csv(StringIO(csv_table(table)))
    ours, value = frame[frame.Source == "measured"].iloc[0], "CUB accuracy (%) ↑"
    assert ours.Method == hostile
    assert ours[value] == 83.3333333333333
    assert (ours[f"{value} std"], ours[f"{value} runs"]) == (0.1, 3)
    assert pd.isna(ours["rooms (NYU layout) RMSE (m) ↓"])
    assert list(frame.Group) == ["ViT-B", "ViT-B", "Other architectures"]
    paper = frame[frame.Source == "paper"].iloc[0]
    assert (paper.Method, paper.Mark, paper[value]) == ("Proteus", "†", 81.2)
    assert pd.isna(paper.Architecture)
    assert pd.isna(paper[f"{value} std"])


def test_a_label_is_never_a_formula(table):
    frame = pd.read_csv(StringIO(csv_table(table)))
    assert frame.Method.iloc[2] == "'=1+1"
