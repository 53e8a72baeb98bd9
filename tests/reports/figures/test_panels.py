"""Panels beside results: cut apart again, and left out if they are none."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.results import Result, ResultStore
from benchmarks.suite.suite import Column
from reports.figures.panels import PanelBlock, panel_blocks
from reports.results.store import read_measurements
from umt.panels import Panel, panel_details

TILES = ("image", "truth", "prediction")
COLOURS = {"ant": (250, 0, 0), "bee": (0, 250, 0)}


def panel(prediction: tuple[int, int, int]) -> Panel:
    """A blue image, its black truth, and a prediction in one colour."""
    tiles = [np.full((6, 8, 3), colour, np.uint8) for colour in ((0, 0, 250), (0, 0, 0), prediction)]
    return Panel(np.concatenate(tiles, axis=1), {"wall": "#00000a", "odd": "red;}<b>"})


@pytest.fixture
def stored(store: ResultStore, result: Callable[..., Result], nyu: Column) -> Callable[..., Path]:
    def make(backbone: str, details: dict[str, Any] | None = None, seed: int = 0) -> Path:
        drawn = {"room 1": panel(COLOURS.get(backbone, (9, 9, 9)))}
        details = panel_details(TILES, drawn) if details is None else details
        found = result(nyu, 0.5, backbone=backbone, details=details, seed=seed)
        return store.write(found, pictures={name: each.pixels for name, each in drawn.items()})

    return make


@pytest.fixture
def blocks(store: ResultStore, nyu: Column) -> Callable[[], list[PanelBlock]]:
    return lambda: panel_blocks((nyu, nyu), read_measurements(store.folder), lambda name: name.title())


def test_predictions_of_all_backbones_stand_beside_the_image_and_its_truth(
    stored: Callable[..., Path], blocks: Callable[[], list[PanelBlock]]
) -> None:
    for backbone, seed in (("bee", 1), ("ant", 0), ("bee", 0)):
        stored(backbone, seed=seed)
    (block,) = blocks()
    assert (block.name, block.title) == ("panels-1", "Predictions: NYUv2")
    (row,) = block.rows
    assert [tile.title for tile in row.tiles] == ["image", "truth", "Ant", "Bee"]
    pixels = [np.asarray(Image.open(BytesIO(tile.webp)).convert("RGB")) for tile in row.tiles]
    assert {picture.shape for picture in pixels} == {(6, 8, 3)}
    assert [tuple(picture[3, 4].tolist()) for picture in pixels[1:]] == [(0, 0, 0), *COLOURS.values()]
    assert pixels[0][3, 4, 2] > 200
    assert row.legend == {"wall": "#00000a"}, "what is no colour is left out"
    assert row.tiles[-1].file.is_file()


def test_a_backbone_without_its_picture_hides_no_other(
    stored: Callable[..., Path], blocks: Callable[[], list[PanelBlock]], caplog: pytest.LogCaptureFixture
) -> None:
    stored("bee")
    (picture,) = stored("ant").parent.glob("*.png")
    picture.write_text("<svg/>")
    ((row,),) = (block.rows for block in blocks())
    assert [tile.title for tile in row.tiles] == ["image", "truth", "Bee"]
    assert f"{picture}: is left out of the page (cannot be decoded); remove it" in caplog.messages


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"panels": 3},
        {"panels": {"tiles": ["image"], "legends": {"room 1": {}}}},
        {"panels": {"tiles": list(TILES) * 9, "legends": {"room 1": {}}}},
        {"panels": {"tiles": list(TILES), "legends": {"../../room 1": {}}}},
        {"panels": {"tiles": list(TILES), "legends": {"room 1": {"wall": 3}}}},
    ],
)
def test_what_is_no_panel_is_left_out(
    stored: Callable[..., Path], blocks: Callable[[], list[PanelBlock]], details: dict[str, Any]
) -> None:
    stored("ant", details)
    assert blocks() == []


@pytest.mark.parametrize("harm", ["gone", "text", "link"])
def test_a_picture_that_is_none_is_left_out(
    stored: Callable[..., Path], blocks: Callable[[], list[PanelBlock]], harm: str
) -> None:
    (picture,) = stored("ant").parent.glob("*.png")
    if harm == "text":
        picture.write_text("<svg/>")
    else:
        picture.rename(picture.with_name("elsewhere.png"))
    if harm == "link":
        picture.symlink_to("elsewhere.png")
    assert blocks() == []
