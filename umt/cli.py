"""The `umt` command: each subcommand is imported only when it is used."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

import umt
from umt.errors import PAGE, UMTError
from umt.surroundings import accept_all_text, leave_current_folder, safe_path, shorten_socket_folder
from umt.text import printable

COMMANDS = {
    "run": ("benchmarks.cli.run:run", "Evaluate backbones on a suite and write its tables."),
    "status": ("benchmarks.cli.status:status", "Tell the state of a run, from any machine that sees its folder."),
    "plan": ("benchmarks.cli.plan:plan", "Estimate device hours and disk of a suite before it runs."),
    "protocols": (
        "benchmarks.cli.protocols:protocols",
        "List, show and compare protocols, the settings behind numbers.",
    ),
    "report": ("reports.cli:report", "Write the tables of a result store."),
    "leaderboard": ("reports.cli:leaderboard", "Rank the backbones of a result store."),
    "results": ("reports.exchange.cli:results", "Export and import results; check a hub of them, and write its page."),
    "compare": ("reports.comparison.cli:compare", "Compare backbones on the same images: paired tests and ranks."),
    "analyze": ("reports.analysis.cli:analyze", "Compare backbones by CKA; show tokens by PCA and cosine."),
    "distill": ("umt.distill.cli:distill_command", "Train a student from several teachers."),
    "recipes": ("umt.distill.cli:recipes", "List the recipes of distillation."),
    "teachers": ("umt.distill.cache.cli:teachers", "Check a recipe's teachers; store their targets."),
    "export": (
        "reports.export.cli:export",
        "Write a student for timm, ONNX or the Hugging Face hub, with a model card.",
    ),
    "backbones": ("umt.backbones.cli:backbones", "List the names of backbones; check a backbone against the contract."),
    "cache": ("umt.feature_cache.cli:cache", "List and prune the features of frozen backbones on disk."),
    "data": ("umt.data.cli:data", "List, prepare and verify data sets; write the embedded ones."),
}


class LazyGroup(click.Group):
    """A group that knows the module of each command, so that `umt --help` imports no torch."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        command.name = name
        return command

    def invoke(self, context: click.Context) -> Any:
        """Run a command; Ctrl-C ends it with status 130 and one line."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt as interruption:
            context.exit(_interrupted(interruption))

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


EPILOG = """\b
Examples:
  umt run                                     the embedded example, in minutes
  umt run ckpt.pth --data-root /data          your row in the paper's tables
  umt report                                  the tables of the newest run
  umt COMMAND --help
"""


@click.group(cls=LazyGroup, epilog=EPILOG)
@click.version_option(umt.__version__, prog_name="umt-bench")
def cli() -> None:
    """UMT-Bench: judge vision backbones with one harness, and distil better ones from several teachers."""


def _interrupted(interruption: KeyboardInterrupt) -> int:
    """Tell on stderr how to go on after Ctrl-C, and return the exit status; a training says itself from where."""
    message = next(map(str, interruption.args), "what is finished is kept, and the same command goes on from there")
    click.echo(f"umt: interrupted; {printable(message)}", err=True)
    return 130


def main() -> None:
    """Run the command line; a UMTError becomes one line on stderr, with its code, and exit status 2."""
    accept_all_text()
    try:
        shorten_socket_folder()
        with safe_path():
            cli(prog_name="umt")
    except UMTError as error:
        click.echo(f"umt: {error} [{error.code}: {PAGE}]", err=True)
        sys.exit(2)
    except KeyboardInterrupt as interruption:  # before a command has begun
        sys.exit(_interrupted(interruption))


if __name__ == "__main__":
    leave_current_folder()
    main()
