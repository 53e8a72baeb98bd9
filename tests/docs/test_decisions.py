"""docs/decisions.md names files, fields and tests that are there."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.registry import get_task
from umt.distill.recipe import DistillRecipe, recipe_names

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`([^`\n]+)`", (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8"))))
ROOMS = "umt|benchmarks|reports|depth|mmseg_configs|tests"
FILES = [name for name in NAMED if re.fullmatch(rf"({ROOMS})/[\w./-]+(::\w+)?", name)]
SETTINGS = [name for name in NAMED if re.fullmatch(r"\w+/\w+\.\w+", name) and name not in FILES]
SECTIONS = {
    name: hint
    for name, hint in get_type_hints(DistillRecipe).items()
    if is_dataclass(hint) and name in ("interaction", "alignment", "views", "training")
}
RECIPE_FIELDS = [name for name in NAMED if name.partition(".")[0] in SECTIONS and "." in name]


@pytest.mark.parametrize("name", FILES)
def test_a_file_and_its_test_are_there(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).exists()
    if test:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_a_protocol_is_there(name: str) -> None:
    task, _, rest = name.partition("/")
    protocol, _, setting = rest.partition(".")
    settings = load_protocol(task, protocol, get_task(task).settings).settings
    assert hasattr(settings, setting)


@pytest.mark.parametrize("name", RECIPE_FIELDS)
def test_a_field_of_a_recipe_is_there(name: str) -> None:
    section, _, field = name.partition(".")
    assert field in {item.name for item in fields(SECTIONS[section])}


def test_the_page_names_enough_to_be_checked() -> None:
    assert len(FILES) > 50
    assert len(SETTINGS) > 10
    assert len(RECIPE_FIELDS) > 8
    assert {"resnet50", "vit-b"} <= {name for name in NAMED if name in recipe_names()}
