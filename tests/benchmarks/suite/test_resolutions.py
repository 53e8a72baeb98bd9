"""A suite at several resolutions: its columns, their protocols, and the command."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import umt
from benchmarks.cli.run import run
from benchmarks.run_options import RunOptions
from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.suite.resolutions import name_at, suite_at
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.registry import get_task
from reports.cli import write_report
from umt.data.registry import dataset_info
from umt.errors import UMTError

SUITE = """
title: Kinds
about: A column of each kind of curve.
seeds: 1
embedded_data: true
tables:
  kinds:
    title: Kinds
    columns:
      - {heading: k-NN, task: knn, dataset: cub, protocol: mini, metric: top1}
      - {heading: Zero-shot, task: zeroshot, dataset: cub, protocol: mini, metric: top1}
      - {heading: Segmentation, task: knn_segmentation, dataset: voc2012, protocol: mini_voc, metric: miou}
      - {heading: Keypoints, task: correspondence, dataset: spair, protocol: mini, metric: pck}
      - {heading: Views, task: view_correspondence, dataset: navi, protocol: mini, metric: recall_3d}
"""
COUNTS = {"cub": (1, 1), "voc2012": (3, 1), "spair": (2, 2, 2), "navi": (1, 8)}
CLIP = (  # both towers small and random
    'open_clip:ViT-B-32?pretrained=false&vision_cfg={"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, '
    '"head_width": 16}&text_cfg={"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}'
)


def test_each_column_is_measured_at_each_resolution(tmp_path: Path) -> None:
    suite = suite_at(load_suite("mini"), [64, 128], tmp_path)
    before = [column for column in load_suite("mini").columns if column.task not in ("ade20k_linear", "nyuv2_depth")]
    assert [column.heading for column in suite.columns] == [
        f"{column.heading} {pixels}" for column in before for pixels in (64, 128)
    ]
    for column in suite.measured:
        settings = get_task(column.task).settings
        protocol = load_protocol(column.task, column.protocol, settings)
        assert protocol.name == f"{Path(column.protocol).stem}"
        assert protocol.settings.resolution == int(column.protocol_name.rpartition("-")[2])


@pytest.mark.parametrize("name", protocol_names("knn"))
def test_nothing_else_of_a_protocol_changes(tmp_path: Path, name: str) -> None:
    suite = load_suite("mini")
    (column,) = [column for column in suite.measured if (column.task, column.dataset) == ("knn", "cub")]
    one = replace(suite, tables={"one": replace(suite.tables["probes"], columns=(replace(column, protocol=name),))})
    settings = get_task("knn").settings
    original = load_protocol("knn", name, settings)
    (changed,) = [load_protocol("knn", at.protocol, settings) for at in suite_at(one, [448], tmp_path).columns]
    assert changed.settings == replace(original.settings, resolution=448)
    assert (changed.version, changed.footnote) == (original.version, original.footnote)
    (same,) = suite_at(one, [original.settings.resolution], tmp_path).columns
    assert load_protocol("knn", same.protocol, settings).hash == original.hash


def test_a_suite_without_resolutions_is_refused(tmp_path: Path) -> None:
    suite = load_suite("mini")
    dense = tuple(column for column in suite.columns if column.task == "ade20k_linear")
    alone = replace(suite, tables={"one": replace(suite.tables["probes"], columns=dense)})
    with pytest.raises(UMTError, match="no task of suite 'mini' has a resolution"):
        suite_at(alone, [224], tmp_path)


def test_the_name_says_the_resolutions() -> None:
    assert name_at("vfm", (224, 448)) == "vfm-at-224-448"


def test_what_is_no_resolution_is_named() -> None:
    assert "is no list of pixels; write 224,448" in CliRunner().invoke(run, ["--resolutions", "224,large"]).output
    with pytest.raises(UMTError, match="resolutions are 224, 0; take 1 pixel or more"):
        RunOptions((), "mini", resolutions=(224, 0))


@pytest.mark.slow
def test_every_kind_of_column_has_its_curve(tmp_path: Path) -> None:
    (tmp_path / "kinds.yaml").write_text(SUITE)
    for name, counts in COUNTS.items():
        info = dataset_info(name)
        assert info.mini
        info.mini.write(tmp_path / info.folder, counts)
    suite, out, pixels = str(tmp_path / "kinds.yaml"), tmp_path / "out", (32, 64)
    given = {"data_root": tmp_path, "out": out, "device": "cpu", "workers": 0, "quiet": True}
    umt.evaluate(f"clip={CLIP}", suite=suite, resolutions=pixels, **given)
    write_report(out / "results", None, suite_at(load_suite(suite), pixels, out))
    with (out / "tables/kinds.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert sum(name.endswith("(%) ↑") and value != "" for name, value in row.items()) == 10, row
    curves = (out / "tables/resolutions.svg").read_text()
    assert len(set(re.findall(r'id="(xtick_\d+)"', curves))) == 10, "five panels of two resolutions"
    assert "Curves over the resolution" in (out / "tables/report.html").read_text()
