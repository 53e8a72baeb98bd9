"""Docstrings begin with a verb and its object: never with a word that makes the reader wait for the subject."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("umt", "benchmarks", "mmseg_configs", "depth", "reports")
RIDDLES = {"What", "How", "Whether", "Of", "One"}


def first_words(source: str) -> Iterator[tuple[int, str]]:
    """Line and first word of every docstring in a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            words = (ast.get_docstring(node) or "").split()
            if words:
                yield getattr(node, "lineno", 1), words[0].strip("`*,:;.")


def test_docstrings_begin_with_a_verb() -> None:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(paths) > 200
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in paths
        for line, word in first_words(path.read_text(encoding="utf-8"))
        if word in RIDDLES
    ]
    assert found == []


def test_a_riddle_would_be_found() -> None:
    assert list(first_words('"""Of a map."""\ndef f():\n    """Return it."""')) == [(1, "Of"), (2, "Return")]
