"""From tables to jobs: columns, and the heads of checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.suite.suite import load_suite, suite_names
from benchmarks.suite.tables import chosen_tables, parts_of
from reports.tables.student_tables import STUDENT_TABLES
from umt.backbones import create_backbone
from umt.backbones.checkpoint import Interaction, Space, save_checkpoint
from umt.backbones.spec import BackboneName, read_name
from umt.distill.recipe import load_recipe
from umt.errors import UMTError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A student with two spaces, of which only the names are asked here."""
    spaces = [Space(name, "dino", "timm:resnet50", 8) for name in ("cls", "dino")]
    path = tmp_path / "ckpt.pth"
    interaction = Interaction({}, {"x": torch.zeros(1)})
    save_checkpoint(path, create_backbone("timm:test_resnet?pretrained=false"), spaces=spaces, interaction=interaction)
    return path


def names(*texts: str) -> tuple[BackboneName, ...]:
    return tuple(map(read_name, texts))


def test_heads_are_evaluated_only_where_a_table_shows_them(checkpoint: Path) -> None:
    suite = load_suite("paper")
    backbones = names(f"mine={checkpoint}", "timm:resnet50", f"head={checkpoint}#cls")
    (main, named), (heads, seen) = parts_of(suite, chosen_tables(suite, "4, 7"), backbones)
    assert named == backbones
    assert [column.heading for column in main.measured] == ["CUB", "ADE20K", "NYUv2"]
    assert seen == names(f"mine, cls head={checkpoint}#cls", f"mine, dino head={checkpoint}#dino")
    assert [column.heading for column in heads.measured] == ["CUB"]


def test_a_trained_student_has_the_jobs_of_the_tables_that_name_it() -> None:
    suite = load_suite("mini")
    tables = chosen_tables(suite, "2,3,costs")
    students = names("UMT=a.pth", "UMT ViT of two CNNs=b.pth", "Mine=c.pth")
    parts = parts_of(suite, tables, students, trained=True)
    assert [[name.label for name in some] for _, some in parts] == [["UMT"], ["UMT ViT of two CNNs"], ["Mine"]]
    assert len({part.columns for part, _ in parts}) == 1, "all three tables show costs"
    for one in (parts_of(suite, tables, students), parts_of(suite, tables[2:], students, trained=True)):
        assert [some for _, some in one] == [students]


def test_without_heads_there_is_one_part_and_without_tables_the_whole_suite(checkpoint: Path) -> None:
    suite = load_suite("mini")
    assert parts_of(suite, [], names("timm:a")) == [(suite, names("timm:a"))]
    ((reduced, _),) = parts_of(suite, chosen_tables(suite, "1"), names(str(checkpoint)))
    assert reduced.columns == suite.tables["table1"].columns
    ((named, _),) = parts_of(suite, chosen_tables(suite, "1, costs"), names(str(checkpoint)))
    assert named.columns == suite.tables["table1"].columns + suite.tables["costs"].columns
    with pytest.raises(UMTError, match="unknown table of suite 'mini' 'table9'"):
        chosen_tables(suite, "1,9")
    with pytest.raises(UMTError, match="Did you mean probes"):
        chosen_tables(suite, "probe")


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_a_suite_measures_what_its_tables_show(name: str) -> None:
    suite = load_suite(name)
    assert name in suite_names()
    for declared in STUDENT_TABLES:
        plan = suite.tables.get(f"table{declared.number}")
        if plan:
            ((reduced, _), *_) = parts_of(suite, [plan], ())
            jobs = {(column.task, column.dataset) for column in reduced.measured}
            assert {(task.task, task.dataset) for task in declared.tasks} <= jobs
            assert jobs, "without a result a student is in no table"
            assert plan.heads == declared.heads


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_every_student_of_a_table_has_a_recipe(name: str) -> None:
    for student in (student for table in load_suite(name).tables.values() for student in table.students):
        load_recipe(student.recipe, student.changes)
