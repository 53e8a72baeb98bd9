"""The doors for large data and for what a run leaves beside its results: tars, panels, maps, logs of trainings."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.results import ResultStore
from benchmarks.suite.suite import Column
from matrix.cells import AsBefore, Door, Either, Elsewhere, LeftOut, Never
from matrix.samples import OWN_NAME, a_result, picture
from reports.figures.maps import map_sheets
from reports.figures.panels import panel_blocks
from reports.figures.trainings import learning_curves
from reports.results.store import read_measurements
from reports.results.trainings import log_of
from umt.data.contract import Dataset
from umt.data.images import decode_rgb
from umt.data.registry import dataset_info
from umt.data.shards import index, lookup
from umt.panels import Panel, panel_details

COLUMN = Column("CUB", "knn", "cub", "paper", "top1")
TILES = ("image", "truth", "prediction")
SILENT = LeftOut("left out: a run may be copied without it", told=False)


def make_shard(folder: Path) -> Path:
    """Pack two classes of three images as class folders in a tar."""
    with tarfile.open(folder / "part.tar", "w") as tar:
        for number, name in enumerate(("élan", "bird")):
            for image in range(3):
                tar.add(picture(folder.parent / "packed" / f"{image}.png", 3 * number + image), f"{name}/{image}.png")
    return folder / "part.tar"


def read_shard(path: Path) -> Any:
    """List and decode all images, as a process that knows no tar yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path.parents[1] / "cache"))
        lookup.INDICES.clear()
        index._handle.cache_clear()
        dataset = Dataset(dataset_info(f"folder:{path.parent}"), path.parent)
        samples = [sample for split in ("train", "test") for sample in dataset.samples(split)]
        return [(str(sample.image), sample.target, decode_rgb(sample.image).tobytes()) for sample in samples]


def make_panel(folder: Path) -> Path:
    """Store two results with a panel each; the fault is in that of one."""
    store, drawn = ResultStore(folder / "results"), {}
    for seed, backbone in enumerate(("sound", "damaged")):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 60, 3), np.uint8)
        details = panel_details(TILES, {"room": Panel(pixels, {})})
        drawn[backbone] = store.write(replace(a_result(backbone), details=details), pictures={"room": pixels})
    (panel,) = drawn["damaged"].parent.glob("*.png")
    return panel


def read_panels(path: Path) -> Any:
    (block,) = panel_blocks((COLUMN,), read_measurements(path.parents[1]))
    (row,) = block.rows
    assert "sound" in [tile.title for tile in row.tiles]
    return {tile.title: sha256(tile.webp).hexdigest() for tile in row.tiles if tile.title not in TILES}


def make_maps(name: str) -> Callable[[Path], Path]:
    """Write two sheets of maps, and return a file of one."""

    def make(folder: Path) -> Path:
        for kind in ("pca", "cosine"):
            sheet = folder / "run" / kind
            sheet.mkdir(parents=True)
            pixels = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
            Image.fromarray(pixels).save(sheet / f"{kind}.png")
            (sheet / f"{kind}.json").write_text(json.dumps({"caption": "Élan"}, ensure_ascii=False), "utf-8")
        return folder / "run" / "pca" / name

    return make


def read_maps(path: Path) -> Any:
    sheets = map_sheets(path.parents[1])
    assert "cosine" in [sheet.file.parent.name for sheet in sheets]
    return [(sheet.file, sheet.caption, sheet.webp) for sheet in sheets]


def make_log(folder: Path) -> Path:
    """Store two results with the log of a training each; the fault is in that of one."""
    store = ResultStore(folder / "results")
    for backbone in ("sound", "damaged"):
        log = log_of(store.write(a_result(backbone)))
        log.parent.mkdir(parents=True)
        log.write_text("".join(f'{{"step": {step}, "loss": {9 - step}}}\n' for step in range(1, 9)))
    return log


def read_logs(path: Path) -> Any:
    """Return the first point of each curve."""
    sketch = learning_curves((COLUMN,), read_measurements(path.parents[3] / "results"))
    assert sketch
    (panel,) = sketch.shows["panels"]
    curves = {name: points[0] for name, points in panel["lines"]}
    assert "sound" in curves
    return curves


DRAWN = {
    **dict.fromkeys(("empty", "truncated", "wrong type", "unreadable", "dangling", "huge", "not UTF-8"), LeftOut()),
    "missing": SILENT,
    "dangling": LeftOut("left out, in a line: links are not followed"),
    "odd name": Never(OWN_NAME),
    "changing": Either("left out, or read as it was", or_left_out=True),
}

RUN_DOORS = (
    Door(
        "tar",
        "`folder:PATH`, ImageNet",
        make_shard,
        read_shard,
        {
            "truncated/one": AsBefore("the last byte fills a block"),
            "huge": AsBefore("what follows the end mark is not read"),
            "hostile": Elsewhere(
                "umt/data/shards/test_members.py::test_links_and_devices_are_refused", "refused by its first bad entry"
            ),
        },
    ),
    Door(
        "panel",
        "`panel_blocks`",
        make_panel,
        read_panels,
        {
            **DRAWN,
            "truncated/one": AsBefore("the last byte is of a checksum behind the picture"),
            "unreadable/folder": Never("its result cannot be read either, which is named"),
            "hostile": Elsewhere("reports/figures/test_panels.py::test_what_is_no_panel_is_left_out", "left out"),
        },
    ),
    Door(
        "map",
        "`map_sheets`",
        make_maps("pca.png"),
        read_maps,
        {
            **DRAWN,
            "truncated/one": AsBefore("the last byte is of a checksum behind the picture"),
            "hostile": Never("it is decoded as PNG alone, with limits, and its pixels encoded again"),
        },
    ),
    Door(
        "map record",
        "`map_sheets`",
        make_maps("pca.json"),
        read_maps,
        {**DRAWN, "hostile": Never("of it the page takes one text, which is shown as text")},
    ),
    Door(
        "log",
        "`learning_curves`",
        make_log,
        read_logs,
        {
            **DRAWN,
            "empty": LeftOut("no curve, as before the first step", told=False),
            "truncated": AsBefore("the lines before the cut are drawn"),
            "wrong type/html": LeftOut("no curve: no line has a step", told=False),
            "not UTF-8": AsBefore("the other lines are drawn"),
            "hostile": Elsewhere(
                "reports/figures/test_trainings.py::test_a_log_without_a_curve_is_no_figure", "no curve"
            ),
        },
    ),
)
