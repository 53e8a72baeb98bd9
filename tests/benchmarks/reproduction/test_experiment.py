"""The declaration: what is trained and judged, by which commands, and that it runs on little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.reproduction.__main__ import Folders, cache_command, judge_commands, row_names, training_commands
from benchmarks.reproduction.experiment import FILE, Arm, load_experiment
from benchmarks.reproduction.supervised import train
from umt.backbones import create_backbone
from umt.backbones.spec import parse_spec, read_name
from umt.distill.recipe import load_recipe
from umt.errors import UMTError

PAGE = FILE.parents[2] / "docs" / "REPRODUCTION.md"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "out", tmp_path / "weights")


@pytest.mark.parametrize("name", ["experiment.yaml", "vit.yaml", "development.yaml", "vit_rates.yaml"])
def test_every_arm_shares_steps_and_views(name: str) -> None:
    experiment = load_experiment(FILE.with_name(name))
    for changes in experiment.budgets.values():
        steps = experiment.training_of_labels(Arm("labels", changes=changes))
        arms = [arm for arm in experiment.trained_arms if arm.recipe and set(changes) <= set(arm.changes)]
        for arm in arms:
            recipe = load_recipe(str(arm.recipe), (*experiment.changes, *arm.changes))
            lr = recipe.training.lr if "rate" in arm.name else steps.lr
            assert (recipe.training, recipe.student) == (replace(steps, lr=lr), experiment.student)
            assert recipe.views.size == experiment.view
            assert set(arm.heads) <= {teacher.name for teacher in recipe.teachers}
        assert arms


def test_each_arm_is_trained_once_a_seed_and_finished_ones_are_skipped(folders: Folders) -> None:
    experiment = load_experiment()
    assert len(training_commands(experiment, folders)) == len(experiment.trained_arms) * experiment.seeds
    done = folders.student(experiment.trained_arms[0], 0)
    done.parent.mkdir(parents=True)
    done.touch()
    assert len(training_commands(experiment, folders)) == len(experiment.trained_arms) * experiment.seeds - 1
    assert "--pixels" in cache_command(experiment, folders)


def test_every_row_is_judged_for_every_seed(folders: Folders) -> None:
    experiment = replace(load_experiment(), teacher_pixels=(224,))
    commands = judge_commands(experiment, folders, 2)
    labels = [
        read_name(command[place + 1]).label
        for command in commands
        for place, part in enumerate(command)
        if part == "--backbone"
    ]
    assert ["--resolutions" in command for command in commands] == [False, True]
    assert all("224 pixels" in label for label in labels[-len(experiment.teachers) :])
    once = [name for name in row_names(experiment) if name.startswith(("Teacher", "Random"))]
    students = [name for name in row_names(experiment) if name not in once]
    assert sorted(labels) == sorted([*once, *(f"{name} seed {seed}" for name in students for seed in range(3))])


@pytest.mark.parametrize("name", ["experiment.yaml", "vit.yaml"])
def test_the_page_has_a_place_for_its_tables_and_every_row(name: str) -> None:
    page, experiment = PAGE.read_text(), load_experiment(FILE.with_name(name))
    stem = Path(name).stem
    for table in ("results", "growth"):
        assert f"<!-- {stem} {table} -->" in page
        assert f"<!-- end of {stem} {table} -->" in page
    results = page.partition(f"<!-- {stem} results -->")[2].partition("<!-- end of")[0]
    assert [line.split(" | ")[0].removeprefix("| ") for line in results.strip().splitlines()[2:]] == row_names(
        experiment
    )


@pytest.mark.parametrize("name", ["experiment.yaml", "vit.yaml"])
def test_the_random_row_is_the_student_without_its_weights(name: str, folders: Folders) -> None:
    experiment = load_experiment(FILE.with_name(name))
    (command, *_) = judge_commands(experiment, folders, 2)
    (random,) = [part.partition("=")[2] for part in command if part.startswith("Random weights=")]
    student = parse_spec(experiment.student)
    assert parse_spec(random).name == student.name
    assert parse_spec(random).options == {**student.options, "pretrained": False}


def test_each_arm_is_trained_with_each_of_its_budgets(folders: Folders, tmp_path: Path) -> None:
    declared = yaml.safe_load(FILE.read_text())
    budgets = {"275 steps": [], "550 steps": ["training.epochs=10"]}
    arms = [{"name": "UMT", "recipe": "mini-cnn"}, {"name": "Labels"}, {"name": "Plain", "budgets": ["550 steps"]}]
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump({**declared, "seeds": 2, "budgets": budgets, "arms": arms}))
    experiment = load_experiment(path)
    names = [arm.name for arm in experiment.trained_arms]
    assert names == ["UMT, 275 steps", "Labels, 275 steps", "UMT, 550 steps", "Labels, 550 steps", "Plain, 550 steps"]
    commands = training_commands(experiment, folders)
    assert len(commands) == 10
    assert ["training.epochs=10" in command for command in commands[:4]] == [False, False, True, False]
    labels = {arm.name: experiment.training_of_labels(arm).epochs for arm in experiment.trained_arms}
    assert (labels["Labels, 275 steps"], labels["Labels, 550 steps"]) == (2.5, 10)
    path.write_text(yaml.safe_dump({**declared, "arms": [{"name": "UMT", "budgets": ["long"]}]}))
    with pytest.raises(UMTError, match="budget of arm 'UMT'"):
        load_experiment(path)


def test_each_remedy_is_tried_alone_on_the_arms_that_say_so(tmp_path: Path) -> None:
    declared = yaml.safe_load(FILE.read_text())
    arm = {"name": "UMT", "recipe": "mini-cnn", "heads": ["cls"], "changes": ["seed=5"], "remedies": ["short"]}
    path = tmp_path / "experiment.yaml"
    new = {"budgets": {"short": ["training.epochs=2"], "long": ["training.epochs=20"]}, "arms": [arm]}
    path.write_text(yaml.safe_dump({**declared, **new, "remedies": {"averaged": ["ema=0.99"]}}))
    assert {arm.name: (arm.changes, arm.heads) for arm in load_experiment(path).trained_arms} == {
        "UMT, short": (("seed=5", "training.epochs=2"), ("cls",)),
        "UMT, averaged, short": (("seed=5", "ema=0.99", "training.epochs=2"), ()),
        "UMT, long": (("seed=5", "training.epochs=20"), ("cls",)),
    }


def test_the_student_without_teachers_learns_the_labels(image_folder, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    images = image_folder(tmp_path / "images", classes=2, train=8) / "train"
    path = train(images, 3, tmp_path / "run", load_experiment(), Arm("No distillation"))
    trained, fresh = create_backbone(str(path)), create_backbone("timm:resnet10t", seed=3, pretrained=False)
    assert trained.architecture == fresh.architecture
    first = next(iter(fresh.state_dict()))
    assert not torch.equal(trained.state_dict()[first], fresh.state_dict()[first])
