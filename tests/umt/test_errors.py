"""Unknown names are answered with near ones, and every error has a code that the documentation explains."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.jobs.forkserver import call, fork_server
from umt.data.loaders import worker_errors
from umt.errors import ALL, KINDS, PAGE, DataError, UMTError, unknown_name

ROOT = Path(__file__).parents[2]
SOURCES = [
    path for room in ("umt", "benchmarks", "mmseg_configs", "depth", "reports") for path in (ROOT / room).rglob("*.py")
]


def test_close_names_come_first() -> None:
    text = str(unknown_name("task", "nyu_depth", ["knn", "nyuv2_depth"]))
    assert text == "unknown task 'nyu_depth'. Did you mean nyuv2_depth? Known: knn, nyuv2_depth."


def test_long_lists_are_left_to_their_command() -> None:
    known = [f"model_{index}" for index in range(100)]
    text = str(unknown_name("model", "zzz", known, listing="umt backbones list"))
    assert text == "unknown model 'zzz'. `umt backbones list` lists them."


def made_in(source: str) -> list[tuple[int, str]]:
    """Line and kind of every error that a file makes by the name of its class."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [(node.lineno, node.func) for node in calls if isinstance(node.func, ast.Name)]
    return [(line, function.id) for line, function in named if function.id in KINDS]


def test_every_error_is_of_a_kind_and_every_kind_is_used() -> None:
    made = {(path, line): kind for path in SOURCES for line, kind in made_in(path.read_text(encoding="utf-8"))}
    bare = [f"{path.relative_to(ROOT)}:{line}" for (path, line), kind in made.items() if kind == UMTError.__name__]
    assert not bare, f"these say no more than UMTError; choose a kind from umt/errors.py: {bare}"
    assert set(made.values()) == KINDS.keys() - {UMTError.__name__}


def test_a_bare_error_would_be_found() -> None:
    assert made_in("def f():\n    raise UMTError(f'{1}: no')") == [(2, "UMTError")]


def test_every_code_has_its_section_and_every_section_its_code() -> None:
    """A section is headed by the code and begins with the meaning that the class states."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    sections = re.findall(r"^### (UMT-\w+)\n\n(.+)\n\n[^#\n]", page, flags=re.MULTILINE)
    assert sorted(sections) == sorted((kind.code, (inspect.getdoc(kind) or "").splitlines()[0]) for kind in ALL)
    assert len({kind.code for kind in ALL}) == len(ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)
def test_kind_and_text_survive_the_way_between_processes(kind: type[UMTError]) -> None:
    error = pickle.loads(pickle.dumps(kind("a.png: damaged; remove it")))
    assert (type(error), error.coded) == (kind, f"a.png: damaged; remove it [{kind.code}]")


class Damaged(Dataset[torch.Tensor]):
    """Images that cannot be decoded."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> torch.Tensor:
        raise DataError(f"{index}.png: damaged; remove it")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_loader_gives_the_line_and_the_code(workers: int) -> None:
    with pytest.raises(DataError, match=r"^0\.png: damaged; remove it$"), worker_errors():
        list(DataLoader(Damaged(), num_workers=workers))


def test_the_preflight_gives_the_line_and_the_code() -> None:
    with pytest.raises(UMTError) as caught:
        call(fork_server(), "benchmarks.suite.suite:load_suite", "papr")
    assert caught.value.coded.startswith("unknown suite 'papr'. Did you mean paper?")
    assert caught.value.coded.endswith("[UMT-NAME]")
