"""Nothing of this machine, and on request of no person, in what is shared."""

from __future__ import annotations

import getpass
import re
from dataclasses import replace
from pathlib import Path

import pytest

from reports.building.sharing import anonymiser, shareable, spec_without_folders, without_folders
from reports.report import report_files, suite_tables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("read from /home/alice/runs/a.json, twice", "read from …/a.json, twice"),
        ("--data cub=/data/CUB_200_2011 --seeds 2", "--data cub=…/CUB_200_2011 --seeds 2"),
        ("--data 'cub=/data/my birds/CUB' --seeds 2", "--data 'cub=…/CUB' --seeds 2"),
        ("folder:/data/pets, 7 train", "folder:…/pets, 7 train"),
        ("~/ckpt.pth and ~bob/x/ckpt.pth", "…/ckpt.pth and …/ckpt.pth"),
        ("../../home/alice/ckpt.pth#dino", "…/ckpt.pth#dino"),
        ("file:///home/alice/x.png", "…/x.png"),
        ("(/tmp)", "(…/tmp)"),
        ("https://example.org/a/b and hf:owner/name", "https://example.org/a/b and hf:owner/name"),
        ("200 img/s, train/val, 50 / 100, ViT-B/16", "200 img/s, train/val, 50 / 100, ViT-B/16"),
        ("runs/mini/students/x.pth", "runs/mini/students/x.pth"),
    ],
)
def test_a_path_is_its_last_part(text: str, expected: str) -> None:
    assert without_folders(text) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("/data/my models/a.pth?head=/x/b.pth#dino", "…/a.pth?head=…/b.pth#dino"),
        ("timm:local-dir:/home/alice/model", "timm:local-dir:…/model"),
        ("timm:resnet50", "timm:resnet50"),
        ("a b.pth", "a b.pth"),
    ],
)
def test_the_name_of_a_backbone_keeps_its_file(spec: str, expected: str) -> None:
    assert spec_without_folders(spec) == expected


@pytest.fixture
def shared(suite, measurement, cub, nyu):
    changes = {"spec": "/home/alice/my models/alice-vit.pth", "root": "/Users/alice/data/cub"}
    other = {"backbone": "theirs", "weights_hash": "b" * 64, "spec": "hf:bob/vit", "dataset": "folder:/home/alice/pets"}
    return [
        measurement(cub, 80.0, backbone="alice-vit", footnote="Read from /home/alice/x.", **changes),
        measurement(cub, 70.0, backbone="theirs", weights_hash="b" * 64, spec="hf:bob/vit"),
        measurement(nyu, 0.5, **other),
    ]


def test_the_page_has_no_absolute_path(suite, shared, tmp_path: Path) -> None:
    files = report_files(suite_tables(suite(), shared), [], "Title", tmp_path)
    for name, content in files.items():
        found = re.findall(r"(?<![\w<./…])(?:~|\.\.)?/(?:home|Users|tmp|root|work|data)\b\S*", content.decode())
        assert found == [], name
    assert "…/alice-vit.pth" in files["report.html"].decode()


def test_anonymous_tables_name_nobody(suite, shared, tmp_path: Path) -> None:
    tables = suite_tables(suite(), shared)
    hidden = anonymiser(tables, shared)
    text = report_files(list(map(hidden.table, tables)), [], "Title", tmp_path)["report.html"].decode()
    page = text.partition("<body>")[2].partition("<script>")[0]
    for word in ("alice", "bob", getpass.getuser(), "c0ffee", "umt run", ".json", "my models"):
        assert not re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", page, re.IGNORECASE), word
    assert "Model 1" in page
    assert "theirs" in page, "a label that names nobody stays"
    assert "weights aaaaaaaaaaaa" in page


def test_a_name_inside_of_a_word_is_no_name(table, monkeypatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/root"))
    hidden = anonymiser([table], [])
    renamed = hidden.table(replace(table, caption="The roots of it, by root-2."))
    assert renamed.caption == "The roots of it, by …-2."


def test_the_table_itself_is_unchanged(table) -> None:
    assert shareable(table).groups == table.groups
