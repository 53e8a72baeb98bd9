"""The index of a store is a cache: it gives what the files say, and where it may not be believed the files are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.results import Result, ResultStore
from reports import index, store
from reports.measurement import Measurement
from reports.store import read_store


@pytest.fixture(autouse=True)
def _small_stores_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "WORTH", 1)


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the result files that are read from now on."""
    names: list[str] = []
    read = store.read_result
    monkeypatch.setattr(store, "read_result", lambda path: names.append(path.name) or read(path))
    return names


@pytest.fixture
def filled(result: Callable[..., Result], cub: object, tmp_path: Path) -> ResultStore:
    """Three seeds of a student and one of a plain backbone, with details that tables show and others."""
    filled = ResultStore(tmp_path / "results")
    details = {"interval": {"low": 79.0, "high": 81.0}, "validation_accuracy": {"1": 2.0}}
    for seed in range(3):
        made = {"recipe": {"name": "mine"}, "losses": {"dino": {"token": 0.1}}}
        filled.write(result(cub, 80.0 + seed, seed=seed, provenance=made, details=details))
    filled.write(result(cub, 70.0, backbone="plain"))
    return filled


def read(folder: Path) -> list[Measurement]:
    found, problems = read_store(folder)
    assert problems == []
    return found


def test_a_second_reading_opens_no_file_and_gives_the_same(filled: ResultStore, read_files: list[str]) -> None:
    first = read(filled.folder)
    assert len(read_files) == 4
    assert read(filled.folder) == first
    assert len(read_files) == 4
    student, plain = first
    assert student.model.provenance["losses"] == {"dino": {"token": 0.1}}
    assert list(student.values("accuracy")) == [80.0, 81.0, 82.0]
    assert [run.interval for run in student.runs] == [{"low": 79.0, "high": 81.0}] * 3
    assert [run.interval for run in plain.runs] == [None]


def test_only_what_has_changed_is_read_again(
    filled: ResultStore, read_files: list[str], result: Callable[..., Result], cub: object
) -> None:
    read(filled.folder)
    read_files.clear()
    edited = filled.write(result(cub, 83.25))
    gone = next(path for path in filled.paths() if path != edited)
    gone.unlink()
    new = filled.write(result(cub, 60.0, backbone="new"))
    for _ in range(2):
        values = {
            run.path: value
            for one in read(filled.folder)
            for run, value in zip(one.runs, one.values("accuracy"), strict=True)
        }
        assert (values[edited], values[new]) == (83.25, 60.0)
        assert gone not in values
        assert len(values) == 4
        assert sorted(read_files) == sorted([edited.name, new.name])


def cut(text: str) -> str:
    return text[: len(text) * 2 // 3]


@pytest.mark.parametrize(
    "harm",
    [
        cut,
        lambda text: "",
        lambda text: "\x00\xff" + text,
        lambda text: text.replace('"weights_hash"', '"weights"', 1),  # of another version
        lambda text: text.replace("80.0", "90.0", 1),  # a number
        lambda text: "\n".join([text.splitlines()[0], "[1, 2]"]),
        lambda text: "\n".join([*text.splitlines()[:-2], text.splitlines()[-1]]),  # a backbone less
    ],
)
def test_a_damaged_index_is_ignored_and_made_anew(
    filled: ResultStore, read_files: list[str], harm: Callable[[str], str]
) -> None:
    first = read(filled.folder)
    file = index.index_file(filled.folder)
    file.write_text(harm(file.read_text()))
    read_files.clear()
    assert read(filled.folder) == first
    assert read_files
    read_files.clear()
    assert read(filled.folder) == first
    assert read_files == []


def test_a_lost_index_is_made_anew(filled: ResultStore) -> None:
    first = read(filled.folder)
    index.index_file(filled.folder).unlink()
    assert read(filled.folder) == first
    assert index.index_file(filled.folder).is_file()


def test_a_store_that_cannot_be_written_beside_is_read(filled: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(index, "atomic_file", refuse)
    assert len(read(filled.folder)) == 2
    assert not index.index_file(filled.folder).exists()


def test_a_bad_result_is_named_each_time(filled: ResultStore) -> None:
    bad = filled.paths()[0].with_name("bad.json")
    bad.write_text("{")
    for _ in range(2):
        found, problems = read_store(filled.folder)
        assert [len(one.runs) for one in found] == [3, 1]
        assert [str(problem).startswith(f"{bad}: ") for problem in problems] == [True]


def test_an_index_with_a_bad_result_beside_it_is_believed(filled: ResultStore, read_files: list[str]) -> None:
    filled.paths()[0].with_name("bad.json").write_text("{")
    for _ in range(2):
        read_store(filled.folder)
    assert read_files[5:] == ["bad.json"]


def test_a_contradiction_is_found_in_the_index_too(
    filled: ResultStore, result: Callable[..., Result], cub: object
) -> None:
    read(filled.folder)
    path = filled.write(result(cub, 81.5))
    path.rename(path.with_name("copy.json"))
    filled.write(result(cub, 80.0))
    for _ in range(2):
        with pytest.raises(store.UMTError, match="different values"):
            read_store(filled.folder)


def test_the_index_does_not_make_an_old_store_the_newest(filled: ResultStore) -> None:
    before = filled.folder.stat().st_mtime_ns
    read(filled.folder)
    assert filled.folder.stat().st_mtime_ns == before


def test_small_stores_have_none(filled: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "WORTH", 5)
    read(filled.folder)
    assert not index.index_file(filled.folder).exists()


def test_what_many_results_share_is_stored_once(filled: ResultStore) -> None:
    read(filled.folder)
    _, *lines, _ = map(json.loads, index.index_file(filled.folder).read_text().splitlines())
    kinds = [kind for line in lines if isinstance(line, dict) for kind in line]
    assert sorted(kinds) == ["Environment", "Model", "Model", "Setup"]
    assert [line[0] for line in lines if isinstance(line, list)] == ["mine", "plain"]
