"""Sheets of maps in folders of a run."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from reports.figures.maps import MAX_WIDTH, map_sheets


def sheet(folder: Path, kind: str, stated: object, width: int = 2 * MAX_WIDTH) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{kind}.json").write_text(json.dumps(stated))
    Image.new("RGB", (width, 100)).save(folder / f"{kind}.png")


def test_sheets_are_those_directly_below_the_run(tmp_path: Path) -> None:
    sheet(tmp_path / "pca", "pca", {"caption": "About."})
    sheet(tmp_path / "of the student", "cosine", {"caption": "More."})
    sheet(tmp_path / "pca" / "deeper", "pca", {"caption": "Not here."})
    first, second = map_sheets(tmp_path)
    assert (first.name, first.title) == ("maps-1", "Cosine of the tokens with the summary token: of the student")
    assert (second.name, second.title, second.caption) == ("maps-2", "Principal components of the tokens", "About.")
    assert Image.open(BytesIO(second.webp)).size == (MAX_WIDTH, 50)
    assert second.file == tmp_path / "pca" / "pca.png"


@pytest.mark.parametrize("stated", [3, {}, [], {"caption": "x", "harm": 1}])
def test_what_is_no_sheet_is_left_out(tmp_path: Path, stated: object) -> None:
    sheet(tmp_path / "pca", "pca", stated)
    if isinstance(stated, dict) and "harm" in stated:
        (tmp_path / "pca" / "pca.png").write_text("no picture")
    assert map_sheets(tmp_path) == []
    assert map_sheets(tmp_path / "none") == []
