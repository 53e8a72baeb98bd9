"""Published numbers: read as printed, shown apart, refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from reports.report import suite_tables
from reports.results.quoted import QuotedTable, quoted_beside, quoted_file, read_quoted
from umt.errors import UMTError

COLUMN = {"task": "finegrained_finetune", "dataset": "cub", "protocol": "paper", "metric": "accuracy"}
FORM = {
    "source": "Ours et al. 2025",
    "table": "table 3",
    "stated": "90 epochs",
    "columns": {"cub": COLUMN},
    "rows": [
        {"model": "Proteus", "architecture": "ViT-B/14", "cub": "84.10"},
        {"model": "Two", "cub": 81, "repeated": True},
    ],
}


def write(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({**FORM, **changes}))
    return path


def test_rows_may_stand_in_a_csv_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("model,architecture,cub,repeated\nProteus,ViT-B/14,84.10,\nTwo,,81,yes\n")
    inline, beside = (read_quoted(write(tmp_path / "a.yaml", rows=rows)) for rows in (FORM["rows"], "r.csv"))
    assert inline == beside
    assert [row.values for row in inline.rows] == [{"cub": "84.10"}, {"cub": "81"}]
    assert [row.repeated for row in inline.rows] == [False, True]


def test_what_is_imported_reads_the_same(tmp_path: Path) -> None:
    table = read_quoted(write(tmp_path / "a.yaml"))
    (tmp_path / "quoted").mkdir()
    (tmp_path / "quoted" / "a.yaml").write_bytes(quoted_file(table))
    assert quoted_beside(tmp_path / "results") == ([table], [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": []}, "field 'rows' is [], expected rows"),
        ({"rows": "../../etc/passwd"}, "lies outside"),
        ({"rows": "none.csv"}, "cannot be read (No such file"),
        ({"rows": [{"cub": 80}]}, "row 1: field 'model' is missing"),
        ({"rows": [{"model": "a", "cub": "80%"}]}, "row 1: 'cub' is '80%', expected a number as printed"),
        ({"rows": [{"model": "a", "cub": float("inf")}]}, "row 1: 'cub' is inf"),
        ({"rows": [{"model": "a", "cub": True}]}, "row 1: 'cub' is True"),
        ({"rows": [{"model": "a", "cubs": 80}]}, "unknown field 'cubs'. Did you mean cub?"),
        ({"rows": ["a"]}, "row 1 is 'a', expected fields"),
        ({"columns": []}, "field 'columns' is []"),
        ({"columns": {"cub": {**COLUMN, "task": 3}}}, "'task' is 3, expected str"),
        ({"source": None}, "field 'source' is None"),
        ({"cite": "measured"}, "which these numbers are not"),
        ({"measured": 1}, "unknown field 'measured'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(UMTError) as caught:
        read_quoted(write(tmp_path / "a.yaml", **changes))
    assert said in str(caught.value)
    assert "a.yaml" in str(caught.value) or "csv" in str(caught.value) or "passwd" in str(caught.value)


@pytest.mark.parametrize("content", ["model,cub\na,1,2\n", 'model,cub\n"a,1\n', "\xff\xfe"])
def test_a_broken_csv_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.csv").write_text(content, encoding="latin-1")
    with pytest.raises(UMTError, match=r"r\.csv"):
        read_quoted(write(tmp_path / "a.yaml", rows="r.csv"))


def test_a_csv_alone_says_not_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match=r"name a YAML file with rows: numbers\.csv; docs/hub\.md has the form"):
        read_quoted(tmp_path / "numbers.csv")


def test_other_files_and_links_beside_a_store_are_named(tmp_path: Path) -> None:
    (tmp_path / "quoted").mkdir()
    (tmp_path / "quoted" / "link.yaml").symlink_to(write(tmp_path / "a.yaml"))
    (tmp_path / "quoted" / "x.py").write_text("")
    tables, problems = quoted_beside(tmp_path / "results")
    assert (tables, len(problems)) == ([], 2)


@pytest.fixture
def quoted(tmp_path: Path) -> QuotedTable:
    return read_quoted(write(tmp_path / "a.yaml"))


def test_quoted_numbers_stand_apart_with_their_source(suite, measurement, cub, quoted) -> None:  # type: ignore[no-untyped-def]
    (table,) = suite_tables(suite("mine"), [measurement(cub, 80.0)], [quoted])
    rows = {row.name: row for group in table.groups for row in group.rows}
    assert list(rows) == ["Proteus (quoted)", "mine", "Two (quoted)†"], "in the groups of their architectures"
    assert rows["Proteus (quoted)"].cells[0].text == "84.10"
    assert rows["Proteus (quoted)"].cells[0].provenance == (
        "Ours et al. 2025, table 3",
        "protocol there: 90 epochs",
        "quoted: nobody measured it here",
    )
    assert [row.name for row in table.measured_rows] == ["mine"]
    assert "(quoted): as published there, not measured here." in table.notes


def test_quoted_numbers_never_stand_beside_other_data_or_protocols(suite, measurement, cub, quoted) -> None:  # type: ignore[no-untyped-def]
    (other,) = suite_tables(suite("mine"), [measurement(cub, 80.0, official=False, title="crops")], [quoted])
    assert all(row.source == "measured" for group in other.groups for row in group.rows)
    moved = replace(quoted, columns={"cub": replace(quoted.columns["cub"], protocol="mini")})
    (table,) = suite_tables(suite("mine"), [measurement(cub, 80.0)], [moved])
    assert all(row.source == "measured" for group in table.groups for row in group.rows)


def test_hostile_text_is_shown_as_text(suite, measurement, cub, quoted) -> None:  # type: ignore[no-untyped-def]
    evil = "a\x1b[31m\n\u202eb"
    row = replace(quoted.rows[0], model=evil, architecture=evil, setting=evil)
    hostile = replace(quoted, source=evil, table=evil, stated=evil, cite=evil, rows=(row,))
    (table,) = suite_tables(suite("mine"), [measurement(cub, 80.0)], [hostile])
    rows = [row for group in table.groups for row in group.rows]
    texts = [text for row in rows for text in (row.name, *row.labels, *row.cells[0].provenance)]
    assert all(text.isprintable() for text in (*texts, *table.notes))
