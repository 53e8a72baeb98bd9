"""Students that learn side by side: those of an interrupted pass, others whose recipes allow it, on a CPU alone."""

from __future__ import annotations

from pathlib import Path

import torch

from umt.distill.ingredients import RecipeChoice
from umt.distill.recipe import load_recipe
from umt.distill.run import StudentFolder, group_folder, groups
from umt.training.hooks.saving import RESUME_FILE

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def students(folder: Path, *names: str, changes: tuple[str, ...] = ()) -> list[StudentFolder]:
    recipe = load_recipe("mini-cnn-pypi", changes)
    return [StudentFolder(RecipeChoice(recipe, trusted=True), folder / name) for name in names]


def names(groups: list[list[StudentFolder]]) -> list[list[str]]:
    return [[student.folder.name for student in group] for group in groups]


def test_a_gpu_trains_one_after_the_other(tmp_path: Path) -> None:
    assert names(groups(students(tmp_path, "a", "b"), GPU)) == [["a"], ["b"]]
    assert groups([], CPU) == []


def test_recipes_that_differ_in_shared_fields_are_kept_apart(tmp_path: Path) -> None:
    others = students(tmp_path, "large", "huge", changes=("views.size=128",))
    assert names(groups([*students(tmp_path, "a", "b"), *others], CPU)) == [["a", "b"], ["large", "huge"]]
    many = students(tmp_path, *"abcdef")
    assert names(groups(many, CPU)) == [["a", "b", "c", "d"], ["e", "f"]]


def test_an_interrupted_training_goes_on_with_those_that_it_began_with(tmp_path: Path) -> None:
    first = students(tmp_path, "b", "c")
    saved = group_folder(first)
    for folder in (saved, tmp_path / "d", tmp_path / "b,gone"):
        folder.mkdir()
        (folder / RESUME_FILE).touch()
    found = groups(students(tmp_path, *"abcde"), CPU)
    assert names(found) == [["b", "c"], ["d"], ["a", "e"]]
    assert group_folder(found[0]) == saved
    assert group_folder(found[1]) == tmp_path / "d"


def test_the_folder_of_many_long_names_is_a_name(tmp_path: Path) -> None:
    folder = group_folder(students(tmp_path, *(letter * 150 for letter in "abcd")))
    folder.mkdir()
    assert folder.parent == tmp_path
