"""Every command explains itself with an example, whose options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from doc_blocks import check_command, umt_arguments

from umt.cli import cli


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, by its full name."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        assert found
        yield from leaves(found, f"{name} {below}")


STARTS = (["umt"], ["bash"], ["torchrun"])
EVERY = dict(leaves(cli, "umt"))


@pytest.mark.parametrize("name", EVERY)
def test_help_ends_with_an_example_of_the_command(name: str) -> None:
    text = EVERY[name].get_help(click.Context(EVERY[name], info_name=name, terminal_width=200))
    _, found, examples = text.partition("Example")
    assert found, f"{name} --help has no example; give its decorator an epilog"
    lines = [re.split(r"  +", line.strip())[0] for line in examples.splitlines() if line.split()[:1] in STARTS]
    commands = [arguments for line in lines if (arguments := umt_arguments(shlex.split(line)))]
    assert len(commands) == len(lines)
    assert any(f"umt {shlex.join(arguments)} ".startswith(f"{name} ") for arguments in commands), lines
    for arguments in commands:
        check_command(["umt", *arguments])


def test_an_option_means_the_same_in_every_command() -> None:
    meanings: dict[str, dict[str, list[str]]] = {}
    for name, command in EVERY.items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                kind = {**option.type.to_info_dict(), "choices": None}  # a command has the choices that it can do
                meaning = f"{kind}, {option.metavar}, {option.help}"
                meanings.setdefault(option.opts[0], {}).setdefault(meaning, []).append(name)
    assert len(meanings) > 40
    assert {option: found for option, found in meanings.items() if len(found) > 1} == {}


def test_every_option_has_a_help_text() -> None:
    options = [(name, option) for name, command in EVERY.items() for option in command.params]
    assert [
        (name, option.name)
        for name, option in options
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ] == []


@pytest.mark.parametrize("name", ["umt", *sorted({name.rpartition(" ")[0] for name in EVERY} - {"umt"}), *EVERY])
def test_help_fits_a_terminal_of_80_columns_and_cuts_nothing(name: str) -> None:
    command: click.Command = cli
    for word in name.split()[1:]:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found
        command = found
    lines = command.get_help(click.Context(command, info_name=name, terminal_width=80)).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage")] == []
