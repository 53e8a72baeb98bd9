"""The suite of the paper's tables in miniature: its recipes, and that they train as the reproduction's own do."""

from __future__ import annotations

from benchmarks.reproduction.experiment import FILE, load_experiment
from benchmarks.suite.suite import load_suite
from umt.distill.recipe import load_recipe

SUITE = FILE.with_name("tables") / "suite.yaml"


def test_every_student_trains_on_the_same_images_views_and_steps() -> None:
    tables = load_suite(str(SUITE)).tables
    students = {student for table in tables.values() for student in table.students}
    assert {name for name in tables if tables[name].students} == {"table2", "table3", "table5", "table6", "table7"}
    recipes = [load_recipe(student.recipe, student.changes) for student in students]
    assert {recipe.datasets for recipe in recipes} == {("imagenet",)}
    assert {recipe.views.size for recipe in recipes} == {load_experiment().view}
    assert {(recipe.training.epochs, recipe.training.batch) for recipe in recipes} == {(2.5, 32)}
    assert all(recipe.otherwise is None for recipe in recipes)  # never another teacher in silence
