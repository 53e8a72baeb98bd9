"""Reading a store: bad files are named and left out, contradictions are errors."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from benchmarks.results import ResultStore
from reports.store import newest_store, read_store
from umt.errors import UMTError


def test_reads_what_was_written(store, result, cub, nyu):
    written = [result(cub, 80.0), result(cub, 82.0, seed=1), result(nyu, 1)]
    paths = {store.write(one) for one in written}
    (accuracy, rmse), problems = read_store(store.folder)
    assert problems == []
    assert {run.path for one in (accuracy, rmse) for run in one.runs} == paths
    assert (list(accuracy.values("accuracy")), list(accuracy.seeds)) == ([80.0, 82.0], [0, 1])
    assert (accuracy.has("rmse"), list(rmse.values("rmse"))) == (False, [1])


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UMTError, match="nowhere: no such result store"):
        read_store(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b'{"schema": 1', b"[]", b"\xff\xfe", b'{"schema": 99}', b'{"schema": 1}'])
def test_unreadable_file_is_named_and_left_out(store, result, cub, content):
    good = store.write(result(cub, 80.0))
    bad = good.with_name("bad.json")
    bad.write_bytes(content)
    found, problems = read_store(store.folder)
    assert [run.path for one in found for run in one.runs] == [good]
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
    assert (len(one.runs), problems) == (1, [])


def test_contradiction_names_both_files(store, result, cub):
    path = store.write(result(cub, 80.0))
    other = path.with_name("other.json")
    store.write(result(cub, 81.0)).rename(other)
    store.write(result(cub, 80.0))
    with pytest.raises(UMTError, match="different values") as caught:
        read_store(store.folder)
    assert str(path) in str(caught.value)
    assert str(other) in str(caught.value)


def test_a_copy_under_another_root_counts_once_beside_new_seeds(store, result, cub):
    """As when the results of two machines are put together."""
    store.write(result(cub, 80.0))
    path = store.write(result(cub, 80.0, root="elsewhere"))
    path.rename(path.with_name("copy.json"))
    store.write(result(cub, 80.0))
    store.write(result(cub, 81.0, seed=1, root="elsewhere"))
    found, problems = read_store(store.folder)
    assert problems == []
    assert sorted(value for one in found for value in one.values("accuracy")) == [80.0, 81.0]


def test_the_newest_store_is_the_one_that_was_written_last(tmp_path, result, cub):
    for name in ("old", "new", "older"):
        path = ResultStore(tmp_path / name / "results").write(result(cub, 80.0))
        stamp = {"old": 200, "new": 300, "older": 100}[name]
        for part in (path, path.parent, path.parent.parent):
            os.utime(part, (stamp, stamp))
    assert newest_store(tmp_path) == tmp_path / "new" / "results"
    with pytest.raises(UMTError, match="no result store there; name one with --results"):
        newest_store(tmp_path / "nothing")
