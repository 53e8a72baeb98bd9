"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from umt import options
from umt.errors import OptionError
from umt.options import weights_folder


@click.command()
@options.options(options.DATA, options.TASKS, options.mapping("--most", "most", "NAME=N", int, "Numbers."))
def show(data: dict[str, Path], tasks: tuple[str, ...], most: dict[str, int]) -> None:
    """Print the values."""
    click.echo(f"{sorted(data)} {[folder.is_absolute() for folder in data.values()]} {tasks} {most}")


def test_values_come_as_mappings_and_lists() -> None:
    arguments = ["--data", "cub=a", "--data", "pets=b=c", "--tasks", "knn,linear", "--tasks", "x", "--most", "a=3"]
    result = CliRunner().invoke(show, arguments)
    assert result.output == "['cub', 'pets'] [True, True] ('knn', 'linear', 'x') {'a': 3}\n"
    assert CliRunner().invoke(show, []).output == "[] [] () {}\n"


def test_a_value_of_another_form_is_named_with_the_form() -> None:
    result = CliRunner().invoke(show, ["--data", "imagenet"])
    assert isinstance(result.exception, OptionError)
    assert str(result.exception) == "--data imagenet: write it as NAME=DIR"


def test_options_stand_in_the_order_of_the_call() -> None:
    assert [parameter.name for parameter in show.params] == ["data", "tasks", "most"]


def test_the_weights_folder_is_the_given_one_else_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMT_WEIGHTS", "elsewhere")
    assert weights_folder(Path("here")) == Path("here")
    assert weights_folder(None) == Path("elsewhere")
    monkeypatch.delenv("UMT_WEIGHTS")
    assert weights_folder(None) == Path("weights")
