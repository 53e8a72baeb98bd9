"""All of the product prints through one console, which sends no text from files as markup or escape sequence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("umt", "benchmarks", "mmseg_configs", "depth", "reports")
CONSOLE = "umt/console.py"  # the one place that may
FORBIDDEN = (  # a name, or all names in a module
    "builtins.print",
    "rich.print",
    "rich.print_json",
    "rich.inspect",
    "rich.get_console",
    "rich.reconfigure",
    "rich.console.Console",
    "rich.markup",
    "rich.prompt",
    "rich.pretty",
    "rich.logging",
    "rich.status",
    "rich.progress.track",
    "rich.progress.open",
    "rich.progress.wrap_file",
    "rich.text.Text.from_markup",
    "rich.text.Text.from_ansi",
    "sys.stdout.write",
    "sys.stderr.write",
    "sys.stdout.buffer",
    "sys.stderr.buffer",
)
BARS = ("rich.progress.Progress", "rich.live.Live")  # they make themselves a console of rich if they are given none


def other_ways(source: str) -> list[str]:
    """Everything in a module that prints past the one console."""
    tree = ast.parse(source)
    names = imported(tree)
    used = [full_name(node, names) for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))]
    bars = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and full_name(node.func, names).startswith(BARS)
    ]
    without = [full_name(bar.func, names) for bar in bars if "console" not in [word.arg for word in bar.keywords]]
    return [*filter(forbidden, {*names.values(), *used}), *without]


def forbidden(name: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in FORBIDDEN)


def imported(tree: ast.Module) -> dict[str, str]:
    """Map each imported name to its full name, wherever in the module it is imported."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {item.asname or item.name.split(".")[0]: item.name if item.asname else "" for item in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
    return {name: full or name for name, full in names.items()}


def full_name(node: ast.expr, names: dict[str, str]) -> str:
    """`console.Console` as `rich.console.Console`; a name that is not imported is of the builtins or the module."""
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, names)}.{node.attr}"
    return names.get(node.id, f"builtins.{node.id}") if isinstance(node, ast.Name) else "an_expression"


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def test_nothing_prints_past_the_one_console() -> None:
    found = {path.relative_to(ROOT).as_posix(): other_ways(path.read_text(encoding="utf-8")) for path in modules()}
    assert len(found) > 200  # the rooms are where this test looks for them
    assert found.pop(CONSOLE)  # and it knows what it looks for
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "print(title)",
        "from rich import print",
        "from rich import print as show; show(title)",
        "from rich.console import Console",
        "import rich.console as r; r.Console()",
        "import rich.console\nclass Mine(rich.console.Console): ...",
        "from rich import console; console.Console()",
        "def f():\n    from rich.markup import escape",
        "import rich; rich.get_console().print(title)",
        "from rich.progress import Progress; Progress(transient=True)",
        "from rich.live import Live; Live(transient=True)",
        "import rich.progress; rich.progress.Progress()",
        "from rich.progress import track",
        "from rich.text import Text; Text.from_markup(title)",
        "import sys; sys.stderr.write(title)",
        "list(map(print, lines))",
    ],
)
def test_a_new_way_is_found(source: str) -> None:
    assert other_ways(source)


@pytest.mark.parametrize(
    "source",
    [
        "from umt.console import Console; Console().print(shown(title))",
        "from rich.table import Table; Table('a')",
        "from rich.progress import Progress; Progress(console=console)",
        "from rich.live import Live; Live(console=console)",
        "import rich.table; rich.table.Table()",
        "import sys; sys.stdout.flush()",
        "console.print(title)",
    ],
)
def test_what_goes_through_it_is_left_alone(source: str) -> None:
    assert other_ways(source) == []
