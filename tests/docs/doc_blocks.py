"""The code blocks of the documentation, and what is said before them about running.

A block runs in the test of its page, in an empty folder, after those before it:

- ```bash: every line is a command, run in this process; all its options are checked even where it does not run;
- ```python and ```yaml with `# NAME.EXT` in the first line are files that the commands of the page use;
- other ```python is executed; ```text is output.

`<!-- not run: REASON -->` before a block spares it the run, `<!-- run by TEST -->` names another test that runs it.
"""

from __future__ import annotations

import importlib
import re
import shlex
from configparser import ConfigParser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
from torch.distributed.run import get_args_parser

from umt.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"(?:^<!-- (?P<mark>.+?) -->\n)?^```(?P<language>.*)\n(?P<text>(?:.*\n)*?)^```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    place: str  # page:line
    language: str
    text: str
    mark: str  # "not run: REASON", "run by TEST", or nothing

    @property
    def file(self) -> str | None:
        """The name in its first line, where it is a file."""
        named = re.match(r"# (\S+\.(?:py|yaml))\n", self.text)
        return named[1] if named else None

    @property
    def commands(self) -> list[list[str]]:
        """The words of every line, without comments."""
        joined = self.text.replace("\\\n", " ")
        return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def blocks(page: Path) -> list[Block]:
    """All of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}",
            found["language"],
            found["text"],
            found["mark"] or "",
        )
        for found in FENCE.finditer(text)
    ]


def umt_arguments(words: list[str]) -> list[str] | None:
    """Return the words after `umt` in a command, by whatever it is started; None if `umt` is not in it."""
    match words:
        case ["umt", *rest]:
            return rest
        case ["bash", "benchmarks/run_all.sh", *rest]:
            return ["run", *rest]
        case ["torchrun", *rest]:
            started = get_args_parser().parse_args(rest)
            return started.training_script_args if started.training_script in ("umt", "umt.cli") else None
        case ["srun", *rest] if "umt" in rest:
            return rest[rest.index("umt") + 1 :]
    return None


def check_command(words: list[str]) -> None:
    """Refuse a command that is none of ours, and options or values that its own parser refuses."""
    arguments = umt_arguments(words)
    if arguments is not None:
        _parse(cli, arguments)
        return
    match words:
        case ["python", "-m", module, *rest]:
            named = importlib.import_module(module)
            runs = importlib.import_module(f"{module}.__main__") if hasattr(named, "__path__") else named
            _parse(runs.main, rest)
        case ["pip", "install", *rest]:
            assert _extras(rest) <= _declared_extras(), f"{rest}: setup.cfg has no such extra"
        case ["bash", script, *_] if (ROOT / script).is_file():
            pass
        case ["mkdocs", "serve" | "build"]:
            pass
        case ["export" | "module" | "source", *_]:
            pass  # of the shell of a cluster
        case _:
            raise AssertionError(f"{shlex.join(words)}: no command that the test knows")


def _parse(command: click.Command, arguments: list[str]) -> None:
    rest = list(arguments)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found, f"no command '{name}'"
        command = found
    with suppress(click.exceptions.Exit):  # --help
        command.make_context(command.name, rest)


def _extras(arguments: list[str]) -> set[str]:
    return {extra for text in re.findall(r"\[(.*?)\]", " ".join(arguments)) for extra in text.split(",")}


def _declared_extras() -> set[str]:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return set(config["options.extras_require"])
