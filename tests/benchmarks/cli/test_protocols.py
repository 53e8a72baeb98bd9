"""`umt protocols`: the list, one in full, and what two of a task do differently."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cli.protocols import differences, find
from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks.registry import get_task
from umt.cli import cli
from umt.errors import UMTError


def output(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["protocols", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def lines(text: str) -> dict[str, list[str]]:
    """First cell -> the others, of the rows of a table."""
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line[:1] == "│"]
    return {first: rest for first, *rest in cells if first}


def test_the_list_has_every_protocol_with_its_hash() -> None:
    rows = lines(output("list", "knn"))
    for name in protocol_names("knn"):
        protocol = load_protocol("knn", name, get_task("knn").settings)
        assert rows[f"knn/{name}"][:2] == [str(protocol.version), protocol.hash]


def test_show_has_every_value() -> None:
    rows = lines(output("show", "ade20k_linear/paper"))
    settings = load_protocol("ade20k_linear", "paper", get_task("ade20k_linear").settings).settings
    assert asdict(settings).keys() <= rows.keys()
    assert rows["scale"] == ["[2048, 512]"]
    assert rows["best_on_test"] == ["null"]
    assert rows["photometric"] == ["true"]


def test_diff_has_what_differs_and_nothing_else() -> None:
    rows = lines(output("diff", "ade20k_linear/paper", "ade20k_linear/dinov2"))
    ours, theirs = rows.pop("footnote")
    assert "does not say how it crops" in ours
    assert "published linear probe" in theirs
    assert rows == {
        "version": ["1", "2"],
        "iterations": ["80000", "40000"],
        "weight_decay": ["0.0", "0.0001"],
        "schedule": ["linear", "linear_from_start"],
        "precision": ["bf16", "fp32"],
        "padding": ["grown", "centred"],
        "padding_colour": ["black", "mean"],
    }


def test_a_file_of_ones_own_is_compared_with_a_shipped_one(tmp_path: Path) -> None:
    mine = tmp_path / "knn" / "mine.yaml"
    mine.parent.mkdir()
    mine.write_text("version: 7\nabout: mine\nextends: paper\n")
    assert differences(find("knn/paper"), find(str(mine))) == {"version": (find("knn/paper").version, 7)}
    assert "measure the same" in output("diff", "knn/paper", "knn/paper")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "knn/paper", "ade20k_linear/paper"], "only protocols of one task can be compared"),
        (["show", "knn"], "write it as TASK/NAME"),
        (["show", "kn/paper"], "unknown task 'kn'. Did you mean knn?"),
        (["show", "knn/papr"], "unknown protocol for knn 'papr'. Did you mean paper?"),
        (["list", "kn"], "unknown task 'kn'"),
    ],
)
def test_mistakes_say_what_to_write(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["protocols", *arguments])
    assert isinstance(done.exception, UMTError)
    assert message in str(done.exception)
