"""`umt compare` on stores of files: its tables, its files, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.suite.suite import Column
from reports.cli import report as report_command
from reports.comparison.cli import compare
from umt.data.registry import find_dataset
from umt.errors import OptionError, ResultError, UnknownNameError

KNN = Column("CUB", "knn", "cub", "paper", "accuracy")
NAMES = np.array([f"images/{index}.jpg" for index in range(200)])


@pytest.fixture
def filled(store, answers):  # type: ignore[no-untyped-def]
    """Three backbones in two columns and three seeds: a and b differ on ten items of 200."""
    hard = np.random.default_rng(0).permutation(200)
    for seed in range(3):
        for name, count in (("a", 130), ("b", 140), ("c", 190)):
            answers(name, hard < count, seed=seed)
            answers(name, hard < count - 20 - (seed if name == "c" else 0), column=KNN, seed=seed)
    return store


def run(*arguments: str):  # type: ignore[no-untyped-def]
    return CliRunner(env={"COLUMNS": "200"}).invoke(compare, list(arguments))


def test_a_paired_difference_holds_where_unpaired_intervals_overlap(filled, tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    done = run("a", "b", "--results", str(filled.folder), "--power", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "-5.0 [" in done.output
    assert "* °" in done.output
    lines = list(csv.DictReader((out / "compare-tests.csv").open(encoding="utf-8")))
    assert len(lines) == 2
    for line in lines:
        assert float(line["difference"]) == pytest.approx(-5)
        assert line["test"] == "McNemar"  # the seeds are equal
        assert float(line["p"]) == pytest.approx(2 * 0.5**10)
        assert float(line["corrected_p"]) == pytest.approx(4 * 0.5**10)
        assert float(line["unpaired_p"]) > 0.2
        assert line["unpaired_overlap"] == "True"
    items = list(csv.DictReader((out / "compare-items.csv").open(encoding="utf-8")))
    assert sum(line["kind"] == "item" for line in items) == 20
    assert {"compare.md", "compare-pairs.csv", "compare-power.md", "compare-items-1.md", "report.html"} <= {
        path.name for path in out.iterdir()
    }


def test_all_backbones_are_ranked_and_drawn(filled, tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    done = run("--results", str(filled.folder), "--out", str(out))
    assert done.exit_code == 0, done.output
    content = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert dict(zip(content["overall"]["names"], content["overall"]["ranks"], strict=True)) == {"a": 3, "b": 2, "c": 1}
    assert [len(column["pairs"]) for column in content["columns"]] == [3, 3]
    assert content["columns"][0]["groups"] == [["c"], ["b"], ["a"]]
    assert (out / "compare-ranks.png").is_file()
    first = (out / "compare.json").read_bytes()
    assert run("--results", str(filled.folder), "--out", str(out)).exit_code == 0
    assert (out / "compare.json").read_bytes() == first


def test_images_that_decide_are_shown(filled, tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "data" / "CUB_200_2011"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(folder / name)
    out = tmp_path / "out"
    done = run("a", "b", "--results", str(filled.folder), "--data-root", str(tmp_path / "data"), "--out", str(out))
    assert done.exit_code == 0, done.output
    with Image.open(out / "compare-items-1.png") as sheet:
        assert sheet.width > 300
        colours = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
        assert (colours == (254, 0, 0)).all(axis=1).any() or (colours == (255, 0, 0)).all(axis=1).any()


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A data root with a small CUB of ten classes, whose lists are there."""
    folder = tmp_path / "data" / "CUB_200_2011"
    (folder / "images").mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (8, 8)).save(folder / name)
    lists = {
        "classes": [f"{label + 1} {label + 1:03}.Bird_{label}" for label in range(10)],
        "images": [f"{index} {Path(name).name}" for index, name in enumerate(NAMES)],
        "image_class_labels": [f"{index} {index % 10 + 1}" for index in range(200)],
        "train_test_split": [f"{index} {index // 100}" for index in range(200)],
    }
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder.parent


@pytest.mark.parametrize("same", [True, False])
def test_classes_have_the_names_of_the_data_set_that_was_measured(same, birds, store, answers, tmp_path) -> None:  # type: ignore[no-untyped-def]
    dataset = find_dataset("cub", birds)
    sizes = dataset.sizes if same else {**dataset.sizes, "test": 7}
    for name, hard in (("a", 3), ("b", 5)):
        answers(name, np.arange(200) % 10 != hard, title=dataset.title, sizes=sizes)
    done = run("a", "b", "--results", str(store.folder), "--data-root", str(birds), "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    lines = csv.DictReader((tmp_path / "out" / "compare-items.csv").open(encoding="utf-8"))
    classes = {line["name"]: float(line["effect"]) for line in lines if line["kind"] == "class"}
    names = ("004.Bird_3", "006.Bird_5") if same else ("class 3", "class 5")
    assert classes == dict(zip(names, (-100, 100), strict=True))
    assert names[0] in done.output


def test_a_name_that_is_not_there_and_a_single_backbone_are_refused(filled) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(run("a", "bb", "--results", str(filled.folder)).exception, UnknownNameError)
    assert isinstance(run("a", "--results", str(filled.folder)).exception, OptionError)
    nothing = run("a", "b", "--tasks", "fewshot", "--results", str(filled.folder))
    assert isinstance(nothing.exception, UnknownNameError | OptionError)


def test_what_cannot_be_paired_is_named(store, answers) -> None:  # type: ignore[no-untyped-def]
    answers("a", np.arange(40) < 30)
    answers("b", np.arange(40) < 20, protocol_hash="f00dfeed0000")
    done = run("--results", str(store.folder))
    assert isinstance(done.exception, ResultError)
    assert "left out: finegrained_finetune on cub: only a has a result by protocol paper (01234567)" in done.stderr


def test_the_comparison_with_the_paper_stays(filled) -> None:  # type: ignore[no-untyped-def]
    assert "--compare" in {option for parameter in report_command.params for option in parameter.opts}


def test_trainings_of_a_recipe_are_its_seeds(store, answers, tmp_path) -> None:  # type: ignore[no-untyped-def]
    hard = np.random.default_rng(0).permutation(200)
    for seed in range(3):
        answers(f"a seed {seed}", hard < 130 + seed)
        answers(f"b seed {seed}", hard < 141 - seed)
    out = tmp_path / "out"
    done = run("a", "b", "--trainings", "--results", str(store.folder), "--out", str(out))
    assert done.exit_code == 0, done.output
    (line,) = csv.DictReader((out / "compare-tests.csv").open(encoding="utf-8"))
    assert float(line["difference"]) == pytest.approx(-4.5)
    single = run("a seed 0", "b seed 0", "--results", str(store.folder), "--out", str(tmp_path / "single"))
    assert single.exit_code == 0
    (alone,) = csv.DictReader((tmp_path / "single" / "compare-tests.csv").open(encoding="utf-8"))
    assert float(line["p"]) > float(alone["p"])  # noise of training is in it


def test_a_training_with_two_results_in_a_column_is_refused(store, answers) -> None:  # type: ignore[no-untyped-def]
    for seed in range(2):
        answers("a seed 0", np.arange(200) < 100, seed=seed)
        answers("b seed 0", np.arange(200) < 90, seed=seed)
    done = run("a", "b", "--trainings", "--results", str(store.folder))
    assert isinstance(done.exception, OptionError)
    assert "run with --seeds 1" in str(done.exception)
