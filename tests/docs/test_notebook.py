"""docs/python.ipynb has the code of docs/python.md, and runs cell by cell in an empty folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import doc_blocks
import pytest

PAGE = doc_blocks.ROOT / "docs" / "python.md"
NOTEBOOK = json.loads(PAGE.with_suffix(".ipynb").read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_has_the_code_of_the_page() -> None:
    assert [block.text.rstrip("\n") for block in doc_blocks.blocks(PAGE) if block.language == "python"] == CODE


def test_it_holds_no_output() -> None:
    assert all(cell["outputs"] == [] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code")


def test_the_cells_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage", reason="the embedded data is made of its photographs; it comes with umt-bench[demo]")
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {"__name__": "__main__"}
    for number, code in enumerate(CODE):
        exec(compile(code, f"cell {number}", "exec"), session)
    assert set(session["table"].index) == {"ResNet", "Mine"}
    assert session["student"] == tmp_path / "runs/student/student.pth"
    assert set(session["results"]["backbone"]) == {"student"}
    assert "imagenet" in capsys.readouterr().out
