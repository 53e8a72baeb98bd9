"""The spread that protocols alone make: of one backbone, on the same images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import umt
from benchmarks.suite.suite import Column, load_suite
from reports.report import suite_tables
from reports.results.store import read_measurements
from reports.tables.protocol_spread import protocol_spread
from umt.data.sets.cub import write_mini as write_cub

PAPER = Column("CUB", "finegrained_linear", "cub", "paper", "accuracy")
PROTEUS, DINOV2 = replace(PAPER, protocol="proteus"), replace(PAPER, protocol="dinov2")
COLUMNS = [PAPER, PROTEUS, DINOV2]


def test_the_spread_is_between_the_extreme_means(measurement) -> None:  # type: ignore[no-untyped-def]
    measurements = [
        measurement(PAPER, 80.0),
        measurement(PAPER, 81.0, seed=1),
        measurement(PROTEUS, 83.25),
        measurement(DINOV2, 82.0),
        measurement(PAPER, 70.0, backbone="alone", weights_hash="b" * 64),
    ]
    table = protocol_spread(COLUMNS, measurements)
    assert table is not None
    (row,) = table.groups[0].rows
    assert (row.name, row.cells[0].text) == ("mine", "2.8 (paper 80.5, proteus 83.2)")
    assert row.cells[0].value == pytest.approx(83.25 - 80.5)
    assert len([line for line in row.cells[0].provenance if line.startswith("file ")]) == 4
    assert table.columns[0].heading == "CUB-200-2011, linear"
    assert table.notes == ("CUB-200-2011, linear: protocols paper, proteus, dinov2 of task finegrained_linear.",)


def test_other_images_and_other_weights_are_no_protocol(measurement) -> None:  # type: ignore[no-untyped-def]
    assert (
        protocol_spread(COLUMNS, [measurement(PAPER, 80.0), measurement(PROTEUS, 90.0, weights_hash="b" * 64)]) is None
    )
    other = measurement(PROTEUS, 90.0, data_fingerprint="0" * 16)
    assert protocol_spread(COLUMNS, [measurement(PAPER, 80.0), other]) is None
    both = [measurement(PAPER, 80.0), other, measurement(PAPER, 88.0, data_fingerprint="0" * 16)]
    table = protocol_spread(COLUMNS, both)
    assert table is not None
    assert table.groups[0].rows[0].cells[0].text == "2.0 (paper 88.0, proteus 90.0)"


def test_the_suite_names_published_protocols_of_one_data_set_a_table() -> None:
    suite = load_suite("protocols")
    for name, table in suite.tables.items():
        protocols = {(column.task, column.protocol) for column in table.columns}
        assert len(protocols) >= 3, name
        assert not any(protocol == "mini" for _, protocol in protocols)


@pytest.mark.slow
def test_a_part_of_the_suite_runs_on_embedded_data(tmp_path: Path) -> None:
    """Linear probes by three protocols on CUB; the other parts have no data here and are left out."""
    write_cub(tmp_path / "data" / "CUB_200_2011", (6, 4))
    with pytest.warns(UserWarning, match="left out"):
        frame = umt.evaluate(
            "timm:test_vit?pretrained=false",
            suite="protocols",
            tasks="finegrained_linear",
            data_root=tmp_path / "data",
            out=tmp_path / "out",
            device="cpu",
            workers=0,
            quiet=True,
        )
    accuracy = frame[frame["metric"] == "accuracy"].set_index("protocol")["value"]
    assert set(accuracy.index) == {"paper", "proteus", "dinov2"}
    tables = suite_tables(load_suite("protocols"), read_measurements(tmp_path / "out" / "results"))
    (spread,) = [table for table in tables if table.name == "protocol-spread"]
    assert spread.groups[0].rows[0].cells[0].value == pytest.approx(accuracy.max() - accuracy.min())
