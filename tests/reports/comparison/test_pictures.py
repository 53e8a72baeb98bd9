"""The texts below the images that decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.scores import MeanScores
from reports.comparison.deciding import Decision, DifferencePart
from reports.comparison.pictures import deciding_images
from reports.figures.image_sheet import LINE

LONG = "images/004.Groove_billed_Ani/Groove_Billed_Ani_0015_{}.jpg"


def test_long_names_of_files_lose_their_middle_and_break_in_no_word(column, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    names = [LONG.format(index) for index in (1653, 1670)]
    for name in names:
        path = tmp_path / "CUB_200_2011" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    texts: list[str] = []
    monkeypatch.setattr(
        "reports.comparison.pictures.image_sheet", lambda *arguments: texts.extend(text for text, _ in arguments[3])
    )
    paired = column({"a": [MeanScores(np.ones(2))], "b": [MeanScores(np.zeros(2))]})
    parts = tuple(DifferencePart(name, 0.5) for name in names)
    deciding_images(Decision(paired, "a", "b", parts, ()), tmp_path, "sheet")
    assert len(texts) == 2
    for text in texts:
        effect, name = text.split(" ")
        assert (effect, name[:7], len(name) <= LINE) == ("+0.500", "images/", True)


@pytest.mark.parametrize("name", ["../outside.jpg", "images/missing.jpg"])
def test_an_image_that_is_not_below_the_data_root_has_no_picture(name, column, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "CUB_200_2011").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.jpg")
    paired = column({"a": [MeanScores(np.ones(1))], "b": [MeanScores(np.zeros(1))]})
    found = deciding_images(Decision(paired, "a", "b", (DifferencePart(name, 1.0),), ()), tmp_path, "sheet")
    assert found is None
