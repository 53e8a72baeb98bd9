"""Suites, data, caches, protocols and results with markup and escape sequences, by the commands that print them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.results import SCHEMA
from umt.cli import cli
from umt.data.mini import PARTS, MiniSize, write_part

HOSTILE = "[red]red[/red] [/] [link=http://a]b[/link] \x1b]0;title\x07\x1b[2J\x9b2J \u202e :boom: \\"
SEEN = "[red]red[/red] [/] [link=http://a]b[/link] \\x1b]0;title\\x07\\x1b[2J\\x9b2J \\u202e :boom: \\"
OURS = re.compile("\x1b\\[([\\d;]*m|\\?25[lh]|2K|1A)|\r")  # colours, and what a bar needs
TINY = MiniSize(
    imagenet=60, aircraft=(1, 1, 1), caltech101=1, cub=(1, 1), voc2012=(2, 1), ade20k=(2, 1), nyuv2=((1, 1), (1, 1))
)
Call = Callable[..., str]


@pytest.fixture(params=[False, True], ids=["file", "terminal"])
def call(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command, into a file or as on a terminal, checks that nothing in its output acts, and gives the text."""
    monkeypatch.setenv("COLUMNS", "1000")
    if request.param:
        monkeypatch.setenv("FORCE_COLOR", "1")

    def run(*arguments: object) -> str:
        done = CliRunner().invoke(cli, [*map(str, arguments)])
        assert isinstance(done.exception, (SystemExit, type(None))), repr(done.exception)
        text = OURS.sub("", done.output)
        assert [line for line in text.split("\n") if not line.isprintable()] == []
        return text

    return run


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of two columns, of which one has no data, over a folder whose marker is hostile, too."""
    folder = write_part(next(part for part in PARTS if part.dataset == "cub"), tmp_path / "data", TINY)
    marker = folder / "umt-data.json"
    said = json.loads(marker.read_text())
    marker.write_text(json.dumps({**said, "title": HOSTILE, "real": HOSTILE, "rendered": HOSTILE}))
    column = {"task": "knn", "protocol": "mini", "metric": "top1"}
    columns = [{**column, "heading": HOSTILE, "dataset": name} for name in ("cub", "aircraft")]
    content = {
        "title": HOSTILE,
        "about": HOSTILE,
        "seeds": 1,
        "embedded_data": False,
        "example": [],
        "tables": {"t": {"title": HOSTILE, "about": HOSTILE, "columns": columns}},
    }
    path = tmp_path / "[red]\x1b[2J.yaml"
    path.write_text(json.dumps(content))
    return path


def test_the_plan_of_a_run(call: Call, suite: Path, tmp_path: Path) -> None:
    backbone = "[red]mine[/red] \x1b[2J=timm:test_resnet?pretrained=false"
    places = ("--data-root", tmp_path / "data", "--out", tmp_path / "out")
    text = call("run", "--suite", suite, *places, "--device", "cpu", "--dry-run", "--backbone", backbone)
    assert text.count(SEEN) == 3  # title, about, data set
    assert text.count("[red]mine[/red] \\x1b[2J") == 3  # backbone, two jobs
    assert "suite '[red]\\x1b[2J'" in call("run", "--suite", suite)  # it has no example


def test_the_list_of_a_cache(call: Call, tmp_path: Path) -> None:
    key = {
        "spec": HOSTILE,
        "weights": "\x1b[2J\x9b[red]",
        "extraction": {"what": HOSTILE, "resolution": 224, "precision": HOSTILE},
        "images": {"count": 3},
    }
    folder = tmp_path / "[red]\x1b[2J"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps({"key": key, "crc32": 0}))
    np.save(folder / "a.npy", np.zeros(1))
    text = call("cache", "list", folder)
    assert text.count(SEEN) == 3
    assert SEEN in call("cache", "prune", folder, "--keep", 0, "--dry-run")


def test_a_report(call: Call, suite: Path, tmp_path: Path) -> None:
    key = {
        **{"backbone": HOSTILE, "weights_hash": HOSTILE, "task": "knn", "dataset": "cub", "protocol": "mini"},
        **{"protocol_hash": HOSTILE, "data_fingerprint": HOSTILE, "seed": 0},
    }
    data = {"title": HOSTILE, "origin": HOSTILE, "official": False, "sizes": {HOSTILE: 3}, "root": HOSTILE}
    environment = {"commit": HOSTILE, "dirty": False, "packages": {}, "device": HOSTILE, "python": "", "started": ""}
    result: dict[str, Any] = {
        **{"schema": SCHEMA, "key": key, "data": data, "environment": environment, "metrics": {"top1": 1.0}},
        **{"spec": HOSTILE, "architecture": HOSTILE, "suite": HOSTILE, "protocol_version": 1, "footnote": HOSTILE},
        **{"units": {"top1": HOSTILE}, "lower_is_better": [], "wall_seconds": 1.0},
    }
    store = tmp_path / "results" / "a"
    store.mkdir(parents=True)
    (store / "a.json").write_text(json.dumps(result))
    (store / f"{HOSTILE.replace('/', '')}.json").write_text("{")
    text = call("report", "--results", store.parent, "--suite", suite)
    assert "left out: " in text
    assert "[red]red[/red]" in text
    assert "[red]red[/red]" in call("leaderboard", "--results", store.parent)
    for path in (tmp_path / "tables").glob("*.[hcmt][tsde][mvx]*"):
        assert all(line.isprintable() for line in path.read_text(encoding="utf-8").split("\n")), path


def test_a_data_set(call: Call, suite: Path, tmp_path: Path) -> None:
    assert SEEN in call("data", "verify", "cub", "--data-root", tmp_path / "data")
    assert SEEN in call("data", "list", "--data-root", tmp_path / "data")


def test_a_protocol(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "knn"
    folder.mkdir()
    path = folder / "[red]\x1b[2J.yaml"
    path.write_text(json.dumps({"extends": "mini", "version": 2, "about": HOSTILE, "footnote": HOSTILE}))
    assert call("protocols", "show", path).count(SEEN) == 2
    assert "[red]\\x1b[2J" in call("protocols", "diff", "knn/mini", path)
    assert "measure the same" in call("protocols", "diff", path, path)
