"""Every code block of the documentation runs, or says why it does not; none is unaccounted for."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import doc_blocks
import pytest
import yaml
from click.testing import CliRunner

from umt.cli import cli

EVERY = [block for page in doc_blocks.PAGES for block in doc_blocks.blocks(page)]
COMMANDS = [(block, words) for block in EVERY if block.language == "bash" for words in block.commands]


@pytest.mark.parametrize("block", EVERY, ids=lambda block: block.place)
def test_every_block_is_accounted_for(block: doc_blocks.Block) -> None:
    assert block.language in ("bash", "python", "yaml", "toml", "text"), f"{block.place}: name its language"
    kind, _, rest = block.mark.partition(": " if block.mark.startswith("not run") else " by ")
    assert kind in ("", "not run", "run"), f"{block.place}: {block.mark}"
    assert bool(rest) == bool(kind), f"{block.place}: {block.mark}"
    if kind == "run":
        assert block.place.partition(":")[0] in (doc_blocks.ROOT / rest).read_text(encoding="utf-8"), (
            f"{rest} does not read it"
        )


def test_no_code_hides_outside_of_blocks() -> None:
    """Indented code has no language and would not be looked at."""
    for page in doc_blocks.PAGES:
        outside = doc_blocks.FENCE.sub("", page.read_text(encoding="utf-8"))
        assert "```" not in outside, page.name
        assert "\n\n    " not in outside, page.name


@pytest.mark.parametrize(
    ("block", "words"), COMMANDS, ids=lambda part: getattr(part, "place", None) or " ".join(part)[:40]
)
def test_every_option_in_the_docs_exists(block: doc_blocks.Block, words: list[str]) -> None:
    doc_blocks.check_command(words)


@pytest.mark.parametrize(
    "command",
    [
        "umt run --no-such-option",
        "umt run --workers 0",
        "umt rnu",
        "pip install -e .[none]",
        "torchrun --no-such umt run",
        "rm x",
    ],
)
def test_a_mistake_in_a_command_is_found(command: str) -> None:
    with pytest.raises((AssertionError, SystemExit, doc_blocks.click.UsageError)):
        doc_blocks.check_command(command.split())


@pytest.mark.parametrize("page", doc_blocks.PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = [block for block in doc_blocks.blocks(page) if not block.mark]
    shell = [block for block in doc_blocks.blocks(page) if block.language == "bash"]
    for block in found:
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text, encoding="utf-8")
            assert any(block.file in other.text for other in shell), f"{block.place}: no command uses {block.file}"
        if block.language == "bash":
            run(block)
        elif block.language == "yaml":
            assert block.file, f"{block.place}: begin it with the name of the file"
            assert isinstance(yaml.safe_load(block.text), dict)
        elif block.language == "toml":
            importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(block.text)
        elif block.language == "python" and not block.file:
            exec(compile(block.text, block.place, "exec"), {})


def run(block: doc_blocks.Block) -> None:
    """The commands of a block, each in this process."""
    for words in block.commands:
        arguments = doc_blocks.umt_arguments(words)
        assert arguments is not None, f"{block.place}: {words} does not run here; put <!-- not run: WHY --> before it"
        done = CliRunner().invoke(cli, arguments)
        blocked = "--dry-run" in arguments and done.exit_code == 1  # an empty folder has no data, and the plan says so
        assert blocked or done.exit_code == 0, f"{block.place}: {' '.join(words)}\n{done.output}\n{done.exception!r}"
