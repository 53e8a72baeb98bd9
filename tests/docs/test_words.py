"""Docstrings begin with a verb and its object, and a name of a class stands for one class only."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("umt", "benchmarks", "mmseg_configs", "depth", "reports")
PATHS = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
RIDDLES = {"What", "How", "Whether", "Of", "One"}


def first_words(source: str) -> Iterator[tuple[int, str]]:
    """Line and first word of every docstring in a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            words = (ast.get_docstring(node) or "").split()
            if words:
                yield getattr(node, "lineno", 1), words[0].strip("`*,:;.")


def class_names(source: str) -> list[str]:
    """Names of all classes of a module."""
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


def test_docstrings_begin_with_a_verb() -> None:
    assert len(PATHS) > 200
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in PATHS
        for line, word in first_words(path.read_text(encoding="utf-8"))
        if word in RIDDLES
    ]
    assert found == []


def test_a_riddle_would_be_found() -> None:
    assert list(first_words('"""Of a map."""\ndef f():\n    """Return it."""')) == [(1, "Of"), (2, "Return")]


def test_a_class_name_stands_for_one_class() -> None:
    places = defaultdict(list)
    for path in PATHS:
        for name in class_names(path.read_text(encoding="utf-8")):
            places[name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_every_class_is_counted() -> None:
    assert class_names("class A:\n    class B: ...\ndef f():\n    class A: ...") == ["A", "B", "A"]
