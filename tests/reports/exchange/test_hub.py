"""Faults of files that others send: a line each, and nothing of them on the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from benchmarks.results import ResultStore, result_bytes
from reports.exchange.hub import read_hub
from umt.cli import cli
from umt.errors import UMTError


def file_of(hub: Path) -> Path:
    (path,) = (hub / "results" / "mine").glob("*.json")
    return path


def run(*arguments: object) -> tuple[int, list[str]]:
    done = CliRunner().invoke(cli, ["results", *map(str, arguments)], catch_exceptions=False)
    return done.exit_code, done.stdout.splitlines()


def test_a_sound_hub_has_no_fault(hub: Path) -> None:
    assert run("check", hub) == (0, [])
    assert len(read_hub(hub).measurements) == 1


def changed(change: Callable[[dict], object], *, checksum: bool = True) -> Callable[[Path], None]:  # type: ignore[type-arg]
    """Change the fields of the result in its place; the checksum is made anew, or stays."""

    def act(hub: Path) -> None:
        path = file_of(hub)
        record = json.loads(path.read_text())
        old = record.pop("crc32")
        change(record)
        path.write_bytes(result_bytes(record) if checksum else json.dumps({**record, "crc32": old}).encode())

    return act


def without_checksum(hub: Path) -> None:
    path = file_of(hub)
    record = json.loads(path.read_text())
    del record["crc32"]
    path.write_text(json.dumps(record))


def link(hub: Path) -> None:
    target = file_of(hub).rename(hub / "elsewhere.json")
    (hub / "results" / "mine" / "linked.json").symlink_to(target)


def submission(**changes: str) -> Callable[[Path], None]:
    def act(hub: Path) -> None:
        path = hub / "results" / "mine" / "submission.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))

    return act


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            changed(lambda record: record["metrics"].update(accuracy=99.0), checksum=False),
            "does not match its checksum",
        ),
        (changed(lambda record: record["metrics"].update(accuracy=101.0)), "'accuracy' is 101%, expected 0 to 100"),
        (changed(lambda record: record["key"].update(seed=1)), "is the result of another place; move it to"),
        (changed(lambda record: record["key"].update(backbone="../../x")), "is the result of another place"),
        (changed(lambda record: record.update(raw="../x.npz")), "names the file '../x.npz'"),
        (changed(lambda record: record.update(pictures=["mine.png"])), "names the file 'mine.png'"),
        (changed(lambda record: record.update(schema=1)), "schema 1, this version reads"),
        (changed(lambda record: record.update(surprise=1)), "unknown field 'surprise'"),
        (without_checksum, "has no checksum"),
        (link, "is a link, which is not followed here"),
        (lambda hub: (hub / "results" / "mine" / "setup.py").write_text("x"), "no result names this file"),
        (lambda hub: (hub / "results" / "mine" / ".hidden").write_text("x"), "no result names this file"),
        (lambda hub: (hub / "results" / "README").write_text("x"), "no folder of a backbone"),
        (lambda hub: (hub / "results" / "b").symlink_to(hub), "no folder of a backbone"),
        (lambda hub: shutil.copy(file_of(hub), hub / "results" / "mine" / "copy.json"), "move it to"),
        (lambda hub: (hub / "results" / "mine" / "submission.yaml").unlink(), "submission.yaml: cannot be read"),
        (submission(licence="proprietary"), "unknown licence of this hub"),
        (submission(weights_licence=" "), "field 'weights_licence' is empty"),
        (submission(code="x"), "unknown field 'code'"),
    ],
)
def test_a_fault_is_a_line_and_its_result_is_left_out(hub: Path, act: Callable[[Path], object], said: str) -> None:
    act(hub)
    status, lines = run("check", hub)
    assert status == 1
    assert any(said in line for line in lines), lines
    assert all(str(hub) in line and line.isprintable() for line in lines)
    whole = {"setup.py", ".hidden", "README", "copy.json"}
    left = len(read_hub(hub).measurements)
    assert left == int(any(path.name in whole for path in hub.rglob("*")) or (hub / "results" / "b").is_symlink())


def test_published_numbers_are_checked_too(hub: Path) -> None:
    (hub / "quoted").mkdir()
    column = {"task": "finegrained_finetune", "dataset": "cub", "protocol": "paper", "metric": "accuracy"}
    form = {"source": "S", "table": "1", "stated": "", "columns": {"cub": column}, "rows": [{"model": "a", "cub": 80}]}
    (hub / "quoted" / "a.yaml").write_text(yaml.safe_dump(form))
    assert len(read_hub(hub).quoted) == 1
    (hub / "quoted" / "a.yaml").write_text(yaml.safe_dump({**form, "rows": [{"model": "a", "cub": 800}]}))
    (hub / "quoted" / "b.yaml").write_text(yaml.safe_dump({**form, "columns": {"cub": {**column, "metric": "acc"}}}))
    faults = list(read_hub(hub).faults)
    assert "metric 'accuracy' is 800%" in faults[0]
    assert "unknown metric of task 'finegrained_finetune' 'acc'" in faults[1]
    assert not read_hub(hub).quoted


@pytest.mark.parametrize("suite", ["../x", "x.yaml", "/etc/suite.yaml", "papers"])
def test_a_hub_takes_a_suite_that_ships(hub: Path, suite: str) -> None:
    (hub / "hub.yaml").write_text(yaml.safe_dump({"title": "Zoo", "suite": suite, "licences": []}))
    with pytest.raises(UMTError, match="suite"):
        read_hub(hub)


def test_a_folder_without_results_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="a hub has its results there"):
        read_hub(tmp_path)


def test_the_page_shows_numbers_and_their_files(hub: Path, tmp_path: Path) -> None:
    assert run("site", hub, "--out", tmp_path / "page")[0] == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "Ranking: Fine-tuning, segmentation and depth" in page
    assert "Combinations of teachers" not in page, "a table of the paper alone"
    path = file_of(hub).relative_to(hub)
    assert page.count(f'data-files="{path}"') == 2, "in the ranking and in the table"
    assert (tmp_path / "page" / path).read_bytes() == (hub / path).read_bytes()


def test_what_has_a_fault_is_not_on_the_page(hub: Path, plausible, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ResultStore(hub / "results").write(plausible(backbone="mine", seed=1, metrics={"accuracy": 800.0}))
    assert run("site", hub, "--out", tmp_path / "page")[0] == 0
    assert "800.0" not in (tmp_path / "page" / "index.html").read_text()
    file_of_first = next(path for path in (hub / "results" / "mine").glob("*seed0*.json"))
    file_of_first.unlink()
    with pytest.raises(UMTError, match="no result of this hub is without fault"):
        run("site", hub, "--out", tmp_path / "page")


def test_text_of_a_hub_is_text_on_its_page(hub: Path, plausible, tmp_path: Path, hostile: str) -> None:  # type: ignore[no-untyped-def]
    declared = {"title": hostile, "about": hostile, "suite": "paper", "licences": ["CC-BY-4.0"]}
    (hub / "hub.yaml").write_text(yaml.safe_dump(declared))
    path = ResultStore(hub / "results").write(plausible(backbone=hostile, spec=hostile, architecture=hostile))
    shutil.copy(hub / "results" / "mine" / "submission.yaml", path.parent)
    assert run("site", hub, "--out", tmp_path / "page")[0] == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
