"""The files of docs/hub.md make a hub, and its workflow calls commands that exist."""

from __future__ import annotations

from pathlib import Path

import doc_blocks
import pytest
import yaml

from benchmarks.results import ResultStore
from reports.exchange.hub import quoted_faults, read_hub
from reports.results.quoted import read_quoted

PAGE = doc_blocks.ROOT / "docs" / "hub.md"
FILES = {block.file: block.text for block in doc_blocks.blocks(PAGE) if block.language == "yaml"}


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        assert name
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_hub_of_the_page_has_no_fault(hub: Path, plausible) -> None:  # type: ignore[no-untyped-def]
    ResultStore(hub / "results").write(plausible(backbone="MyNet-B"))
    content = read_hub(hub)
    assert content.faults == []
    assert len(content.measurements) == 1


def test_the_quoted_table_of_the_page_can_be_imported(hub: Path) -> None:
    table = read_quoted(hub / "dinov9.yaml")
    assert quoted_faults(table) == []
    assert [(row.model, row.values["cub"], row.repeated) for row in table.rows] == [
        ("DINOv9", "91.20", False),
        ("Proteus", "84.1", True),
    ]


def test_the_workflow_calls_what_exists_and_gives_no_secret(hub: Path) -> None:
    workflow = yaml.safe_load((hub / ".github" / "workflows" / "hub.yaml").read_text(encoding="utf-8"))
    commands = [step["run"].split() for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    ours = [words for words in commands if words[0] == "umt"]
    assert [words[:3] for words in ours] == [["umt", "results", "check"], ["umt", "results", "site"]]
    for words in ours:
        doc_blocks.check_command(words)
    assert "pull_request" in workflow[True], "YAML 1.1 reads `on` as true"
    assert "pull_request_target" not in workflow[True]
    assert "secrets" not in (hub / ".github" / "workflows" / "hub.yaml").read_text(encoding="utf-8")
    assert workflow["permissions"] == {"contents": "read"}
