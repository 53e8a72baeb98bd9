"""`umt protocols list|show|diff`: the protocols of the measurements, and the differences between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from benchmarks.suite.protocols import Protocol, load_protocol, protocol_names
from benchmarks.tasks.registry import get_task, task_names
from umt.console import Console, shown
from umt.errors import OptionError, unknown_name
from umt.options import CommandGroup
from umt.text import printable

EPILOG = """\b
Examples:
  umt protocols list ade20k_linear
  umt protocols show ade20k_linear/paper
  umt protocols diff ade20k_linear/paper ade20k_linear/dinov3
  umt protocols diff knn/paper my/knn/mine.yaml

A protocol is TASK/NAME, or a YAML file in a folder called after its task, as in benchmarks/tasks/protocols.
"""


@click.group(cls=CommandGroup, epilog=EPILOG)
def protocols() -> None:
    """List the protocols; show one in full, or the differences between two of a task."""


@protocols.command("list", epilog=EPILOG)
@click.argument("task", required=False)
def list_(task: str | None) -> None:
    """List all protocols, or those of TASK, with version, hash and origin. Equal hash, comparable numbers."""
    table = Table("protocol", "version", "hash", "about")
    for name in [get_task(task).name] if task else task_names():
        for protocol in (_load(name, shipped) for shipped in protocol_names(name)):
            table.add_row(shown(_title(protocol)), str(protocol.version), protocol.hash, shown(protocol.about))
    Console().print(table)


@protocols.command(epilog=EPILOG)
@click.argument("protocol", metavar="TASK/NAME|FILE")
def show(protocol: str) -> None:
    """Show every value of a protocol."""
    chosen_protocol = find(protocol)
    console = Console()
    console.print(_rows(["field", "value"], {**_header(chosen_protocol), **_choices(chosen_protocol)}.items()))


@protocols.command(epilog=EPILOG)
@click.argument("first", metavar="TASK/NAME|FILE")
@click.argument("second", metavar="TASK/NAME|FILE")
def diff(first: str, second: str) -> None:
    """Show the fields in which two protocols of one task differ, side by side."""
    left, right = find(first), find(second)
    rows = differences(left, right)
    if not rows:
        click.echo(printable(f"{_title(left)} and {_title(right)} measure the same: {left.hash}"))
        return
    Console().print(_rows(["field", _title(left), _title(right)], ((field, *pair) for field, pair in rows.items())))


def find(text: str) -> Protocol[Any]:
    """Find the protocol that TASK/NAME or the path of a YAML file names; UMTError lists the known ones."""
    path = Path(text)
    if path.suffix in (".yaml", ".yml"):
        task, name = path.absolute().parent.name, text
    else:
        task, _, name = text.partition("/")
    if not name:
        raise OptionError(f"protocol '{text}': write it as TASK/NAME, e.g. {task}/paper, or as the path of a YAML file")
    if task not in task_names():
        raise unknown_name("task", task, task_names())
    return _load(task, name)


def differences(left: Protocol[Any], right: Protocol[Any]) -> dict[str, tuple[Any, Any]]:
    """Return version and settings that are not equal, by name; UMTError for protocols of two tasks."""
    if left.task != right.task:
        raise OptionError(f"{_title(left)} and {_title(right)}: only protocols of one task can be compared")
    ours, theirs = (
        {"version": protocol.version, **_choices(protocol), "footnote": protocol.footnote} for protocol in (left, right)
    )
    names = dict.fromkeys([*ours, *theirs])
    return {name: (ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)}


def _load(task: str, name: str) -> Protocol[Any]:
    return load_protocol(task, name, get_task(task).settings)


def _title(protocol: Protocol[Any]) -> str:
    return f"{protocol.task}/{protocol.name}"


def _header(protocol: Protocol[Any]) -> Mapping[str, Any]:
    return {
        "task": protocol.task,
        "protocol": protocol.name,
        "version": protocol.version,
        "hash": protocol.hash,
        "about": protocol.about,
        "footnote": protocol.footnote,
    }


def _choices(protocol: Protocol[Any]) -> dict[str, Any]:
    """Return everything that changes its numbers."""
    return asdict(protocol.settings)


def _rows(heading: list[str], rows: Iterable[tuple[Any, ...]]) -> Table:
    table = Table(*map(shown, heading))
    for row in rows:
        table.add_row(*(shown(_text(value)) for value in row))
    return table


def _text(value: Any) -> str:
    """Return a value as a protocol file may have it."""
    return value if isinstance(value, str) else json.dumps(value)
