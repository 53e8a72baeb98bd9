"""Two draws of one data set in one suite: each result has its own data, says how it was drawn, and lists what was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.jobs.preflight import make_plan
from benchmarks.jobs.worker import run_job
from benchmarks.results import Result, ResultStore
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.suite import load_suite
from umt.backbones.spec import read_name
from umt.data.sets.caltech101 import Draw

SUITE = """
title: draws
about: two variants of one folder
seeds: 1
embedded_data: false
example: []
tables:
  table1:
    title: Title
    columns:
      - {{heading: usual, task: knn, dataset: caltech101, protocol: {protocol}, metric: top1}}
      - {{heading: published, task: knn, dataset: "caltech101?draw=published", protocol: {protocol}, metric: top1}}
"""


PROTOCOL = "version: 1\nabout: test\nextends: mini\nresolution: 32\nfootnote: Small.\n"


def write_images(folder: Path, count: int, colour: int) -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.new("RGB", (16, 16), (colour, number, 0)).save(folder / f"image_{number:04d}.jpg")


def test_each_draw_is_a_result_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "data" / "caltech101" / "101_ObjectCategories"
    counts = {"BACKGROUND_Google": 36, "ant": 34, "beaver": 35}
    for index, (name, count) in enumerate(counts.items()):
        write_images(root / name, count, 100 * index)
    protocol, suite = tmp_path / "small.yaml", tmp_path / "suite.yaml"
    protocol.write_text(PROTOCOL)
    suite.write_text(SUITE.format(protocol=protocol))
    plan = make_plan(
        PlanOptions(
            suite=load_suite(str(suite)),
            backbones=(read_name("timm:test_resnet?pretrained=false"),),
            data_root=tmp_path / "data",
            data={},
            out=tmp_path / "out",
            tasks=(),
            seeds=1,
            device="cpu",
        )
    )
    assert [check.sizes["train"] for check in plan.datasets] == [60, 90]
    assert [run_job(request).message for request in plan.requests()] == ["", ""]
    found = {result.key.dataset: result for result in ResultStore(tmp_path / "out" / "results")}
    assert found["caltech101"].key.data_fingerprint != found["caltech101?draw=published"].key.data_fingerprint
    assert found["caltech101"].key.protocol_hash == found["caltech101?draw=published"].key.protocol_hash
    random = "test_resnet (pretrained=False): random weights (pretrained=false)."
    assert found["caltech101"].footnote == f"Small. {random}"
    assert found["caltech101?draw=published"].footnote == (
        f"Small. {Draw(replacement=True, background='in').footnote} {random}"
    )
    stored = drawn_of(tmp_path, found["caltech101?draw=published"])
    expected = np.random.RandomState(0).choice([f"image_{number:04d}.jpg" for number in range(1, 37)], 30)
    assert stored[:30] == [f"BACKGROUND_Google/{name}" for name in sorted(expected)]
    assert len(stored) == 90
    assert not any(name.startswith("BACKGROUND") for name in drawn_of(tmp_path, found["caltech101"]))


def drawn_of(tmp_path: Path, result: Result) -> list[str]:
    path = tmp_path / "out" / "results" / f"{result.key.stem}.npz"
    names: list[str] = np.load(path)["drawn"].tolist()
    return names
