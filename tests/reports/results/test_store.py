"""Reading a store: bad files and contradictions are named and left out."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from benchmarks.perf.hostile_store import HOSTILE
from benchmarks.results import ResultStore
from reports.results.store import newest_store, read_store
from umt.cli import cli
from umt.errors import UMTError


def test_reads_what_was_written(store, result, cub, nyu):
    written = [result(cub, 80.0), result(cub, 82.0, seed=1), result(nyu, 1)]
    paths = {store.write(one) for one in written}
    measurements, problems = read_store(store.folder)
    assert problems == []
    assert {one.path for one in measurements} == paths
    assert [one.result for one in measurements] == written


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UMTError, match="nowhere: no such result store"):
        read_store(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "content", [b"", b'{"schema": 1', b"[]", b"\xff\xfe", b'{"schema": 99}', b'{"schema": 1}', b'{"schema": 2}']
)
def test_unreadable_file_is_named_and_left_out(store, result, cub, content):
    good = store.write(result(cub, 80.0))
    bad = good.with_name("bad.json")
    bad.write_bytes(content)
    found, problems = read_store(store.folder)
    assert [one.path for one in found] == [good]
    assert [str(problem).startswith(f"{bad}: ") for problem in problems] == [True]


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("metrics", "accuracy", "80"),
        ("metrics", "accuracy", float("nan")),
        ("metrics", "accuracy", None),
        ("key", "backbone", ["x"]),
        ("key", "seed", "0"),
        ("data", "official", "yes"),
        ("data", "sizes", 3),
        ("environment", "commit", 5),
    ],
)
def test_field_of_the_wrong_kind_is_named(store, result, cub, part, field, value):
    path = store.write(result(cub, 80.0))
    content = json.loads(path.read_text())
    del content["crc32"]  # as in a file of another program
    content[part][field] = value
    path.write_text(json.dumps(content))
    found, (problem,) = read_store(store.folder)
    assert found == []
    assert str(path) in str(problem)
    assert field in str(problem)
    assert "\n" not in str(problem)


def test_copied_file_counts_once(store, result, cub):
    path = store.write(result(cub, 80.0))
    shutil.copy(path, path.with_name("copy.json"))
    (one,), problems = read_store(store.folder)
    assert (one.result.metrics, problems) == ({"accuracy": 80.0}, [])


def test_files_that_contradict_each_other_are_left_out_and_named(store, result, cub):
    path = store.write(result(cub, 80.0))
    other = path.with_name("other.json")
    store.write(result(cub, 81.0)).rename(other)
    store.write(result(cub, 80.0))
    shutil.copy(path, path.with_name("copy.json"))
    store.write(result(cub, 82.0, seed=1))
    store.write(result(cub, 83.0, backbone="another"))
    found, (problem,) = read_store(store.folder)
    assert sorted((one.key.backbone, one.result.metrics["accuracy"]) for one in found) == [
        ("another", 83.0),
        ("mine", 82.0),
    ]
    assert "different values ({'accuracy': 80.0}, {'accuracy': 81.0}) for the same job" in str(problem)
    assert str(other) in str(problem)
    assert str(path.with_name("copy.json")) in str(problem)


def test_a_copy_under_another_root_counts_once_beside_new_seeds(store, result, cub):
    """As when the results of two machines are put together."""
    store.write(result(cub, 80.0))
    path = store.write(result(cub, 80.0, root="elsewhere"))
    path.rename(path.with_name("copy.json"))
    store.write(result(cub, 80.0))
    store.write(result(cub, 81.0, seed=1, root="elsewhere"))
    found, problems = read_store(store.folder)
    assert problems == []
    assert sorted(one.result.metrics["accuracy"] for one in found) == [80.0, 81.0]


def test_the_newest_store_is_the_one_that_was_written_last(tmp_path, result, cub):
    for name in ("old", "new", "older"):
        path = ResultStore(tmp_path / name / "results").write(result(cub, 80.0))
        stamp = {"old": 200, "new": 300, "older": 100}[name]
        for part in (path, path.parent, path.parent.parent):
            os.utime(part, (stamp, stamp))
    assert newest_store(tmp_path) == tmp_path / "new" / "results"
    with pytest.raises(UMTError, match="no result store there; name one with --results"):
        newest_store(tmp_path / "nothing")


def test_the_newest_store_is_found_among_broken_links(tmp_path, result, cub):
    ResultStore(tmp_path / "run" / "results").write(result(cub, 80.0))
    (tmp_path / "run" / "results" / "dangling").symlink_to("nothing")
    (tmp_path / "run" / "results" / "loop").symlink_to("loop")
    for name, target in (("dangling", "nothing"), ("loop", "results")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results").symlink_to(target)
    (tmp_path / "link").symlink_to("nothing")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "results").write_text("")
    assert newest_store(tmp_path) == tmp_path / "run" / "results"


def hostile_store(store, result, cub):
    """Two sound results, in whose folder and beside it lies a file of every hostile kind; the sound paths."""
    details = {"interval": {"low": 79, "high": 81.0}}
    sound = [store.write(result(cub, 80.0, details=details)), store.write(result(cub, 70.0, backbone="other"))]
    for number, write in enumerate(HOSTILE.values()):
        write(sound[0].with_name(f"{number}.json"), asdict(result(cub, 81.0)))
    (store.folder.parent / "elsewhere" / "mine").mkdir(parents=True)
    (store.folder / "linked folder").symlink_to(store.folder.parent / "elsewhere")
    (store.folder / "loop").symlink_to("loop")
    return sound


def test_hostile_files_are_named_and_hide_nothing(store, result, cub):
    sound = hostile_store(store, result, cub)
    found, problems = read_store(store.folder)
    assert sorted(one.path for one in found) == sorted(sound)
    assert len(problems) == len(HOSTILE) + 2
    assert {str(problem).partition(": ")[0] for problem in problems} == set(map(str, store.folder.glob("*/*.json"))) - {
        *map(str, sound)
    } | {str(store.folder / "linked folder"), str(store.folder / "loop")}
    assert all(str(problem).isprintable() and "; " in str(problem) for problem in problems)


@pytest.mark.parametrize("command", ["report", "leaderboard"])
def test_commands_over_a_hostile_store(store, result, cub, command, monkeypatch):
    monkeypatch.setattr("reports.cli.suite_figures", lambda *_: [])  # they take seconds
    hostile_store(store, result, cub)
    done = CliRunner().invoke(cli, [command, "--results", str(store.folder)], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.count("left out: ") == len(HOSTILE) + 2
    assert "80.0" in done.output


@pytest.mark.parametrize(
    "interval",
    [3, [], {}, {"low": 1}, {"low": "1", "high": 2}, {"low": float("nan"), "high": 1}, {"low": 1, "high": 1e99}],
)
def test_an_interval_that_is_none_leaves_a_file_out(store, result, cub, interval):
    path = store.write(result(cub, 80.0))
    content = json.loads(path.read_text())
    del content["crc32"]
    path.write_text(json.dumps({**content, "details": {"interval": interval}}))
    found, (problem,) = read_store(store.folder)
    assert found == []
    assert re.search(r"field 'details(\.|': ')interval' is ", str(problem))


@pytest.mark.parametrize("metrics", [{}, {"accuracy": 1e300}])
def test_values_that_cannot_be_averaged_leave_a_file_out(store, result, cub, metrics):
    store.write(result(cub, 80.0, metrics=metrics))
    found, (problem,) = read_store(store.folder)
    assert (found, "field 'metrics' is {" in str(problem)) == ([], True)
