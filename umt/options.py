"""The options that several commands share: one option has one type, one form and one help text everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from umt.errors import OptionError

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

FOLDER = click.Path(path_type=Path, file_okay=False)


class CommandGroup(click.Group):
    """A group whose help shows the whole first sentence of each command; click cuts it at the end of the line."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(context, name)) for name in self.list_commands(context)]
        lines = [(name, _about(command)) for name, command in commands if command and not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


def _about(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    paragraph = " ".join((command.help or "").partition("\n\n")[0].split())
    return command.short_help or f"{paragraph.split('. ')[0].rstrip('.')}."


def options(*decorators: Decorator[Any]) -> Decorator[Any]:
    """Return a decorator that adds several options, in their order."""

    def add(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return add


def pairs(option: str, texts: tuple[str, ...], form: str, convert: Callable[[str], Any]) -> dict[str, Any]:
    """Return texts of the form NAME=VALUE as a mapping. Raises OptionError for a text of another form."""
    values = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise OptionError(f"{option} {text}: write it as {form}")
        values[name] = convert(value)
    return values


def mapping(option: str, name: str, form: str, convert: Callable[[str], Any], text: str) -> Decorator[Any]:
    """Return an option that is given as NAME=VALUE, may be repeated, and gives a mapping."""
    read = lambda context, parameter, texts: pairs(option, texts, form, convert)  # noqa: E731
    return click.option(option, name, multiple=True, metavar=form, callback=read, help=text)


def _split(context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Read an option of lists with commas, which may be repeated."""
    return tuple(name for text in texts for name in text.split(","))


def _folder(option: str, text: str, default: str | None = None, *, required: bool = False) -> Decorator[Any]:
    """Return the option of a folder; `default` is shown and not set."""
    return click.option(option, type=FOLDER, required=required, show_default=default or False, help=text)


out = partial(_folder, "--out", "Folder to write to.")
data_root = partial(_folder, "--data-root", "Folder that holds the data sets in their official layouts.")
results = partial(_folder, "--results", "A result store: the folder OUT/results of a run.")


def dataset(*, multiple: bool = False) -> Decorator[Any]:
    """Return the option of the name of a data set."""
    return click.option(
        "--dataset",
        "datasets" if multiple else "dataset",
        multiple=multiple,
        metavar="NAME",
        help="Take this data set: a name, NAME?option=value, or folder:PATH of labelled images.",
    )


def suite(default: str) -> Decorator[Any]:
    """Return the option of the suite; `default` is shown and not set."""
    return click.option(
        "--suite", metavar="NAME|FILE", show_default=default, help="Suite of tasks: paper, mini or a YAML file."
    )


def workers(default: str) -> Decorator[Any]:
    """Return the option of the jobs that run at the same time; `default` is shown and not set."""
    return click.option(
        "--workers", type=click.IntRange(1), show_default=default, help="Jobs that run at the same time."
    )


def batch_size(default: int) -> Decorator[Any]:
    """Return the option of the images in a forward; it changes no number."""
    return click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=default,
        show_default=True,
        help="Images in a forward pass; changes no number.",
    )


def resolution(*default: int, multiple: bool = False) -> Decorator[Any]:
    """Return the option of the side of the images in pixels."""
    return click.option(
        "--resolution",
        "resolutions" if multiple else "resolution",
        type=click.IntRange(1),
        multiple=multiple,
        default=default if multiple else default[0],
        show_default=True,
        help="Side of the square images, in pixels.",
    )


BACKBONE = click.option(
    "--backbone",
    "names",
    multiple=True,
    metavar="[LABEL=]SPEC",
    help="A backbone by name, e.g. timm:resnet50; may be repeated.",
)
COMPILE = click.option(
    "--compile", "compiled", is_flag=True, help="Use torch.compile; the first step takes a minute or more."
)
DATA = mapping(
    "--data", "data", "NAME=DIR", lambda text: Path(text).resolve(), "Folder of one data set; may be repeated."
)
DEVICE = click.option(
    "--device", default="auto", show_default=True, help="auto (a GPU if there is one), cpu, cuda or cuda:N."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
IMAGES = click.option("--images", type=FOLDER, help="Take all images below this folder instead of a data set.")
SEEDS = click.option(
    "--seeds", type=click.IntRange(1), show_default="the suite's", help="Runs of each job, each with another seed."
)
TASKS = click.option(
    "--tasks", multiple=True, metavar="TASK[,TASK]", callback=_split, help="Only these tasks, e.g. knn,fewshot."
)
TRUST = click.option(
    "--trust",
    multiple=True,
    metavar="FILE",
    help="A suite or recipe file that may run code: backbones in it may be path.py:factory. May be repeated.",
)
WANDB = click.option("--wandb", is_flag=True, help="Send the curves of trainings to Weights & Biases, too.")
WEIGHTS = click.option(
    "--weights", type=FOLDER, show_default="$UMT_WEIGHTS, else weights", help="Folder of the teachers' weight files."
)
YES = click.option("--yes", is_flag=True, help="Do not ask before a long computation.")


def weights_folder(folder: Path | None) -> Path:
    """Return the folder of the teachers' weight files: --weights, else $UMT_WEIGHTS, else ./weights."""
    return folder or Path(os.environ.get("UMT_WEIGHTS", "weights"))
