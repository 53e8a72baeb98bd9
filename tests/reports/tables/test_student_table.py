"""Tables of distilled students: rows, groups, sums, and what is not compared."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.suite.suite import Column
from reports.building.table import Table
from reports.paper import paper_table
from reports.results.students import students_of
from reports.tables.student_table import build_student_table
from reports.tables.student_tables import STUDENT_TABLES

DECLARED = {table.number: table for table in STUDENT_TABLES}
UMT: dict[str, Any] = {"method": "umt", "model_token": True, "cross_space": True, "intra_space": True}
FINE_GRAINED = [
    Column(name, "finegrained_finetune", name, "paper", "accuracy") for name in ("aircraft", "caltech101", "cub")
]


def rows(table: Table | None) -> list[tuple[str, ...]]:
    assert table is not None
    return [(*row.labels, *(cell.text for cell in row.cells)) for group in table.groups for row in group.rows]


def test_losses_are_sums_over_teachers_and_means_over_seeds(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    other = {"cls": {"feature": 0.3, "token": 0.3}, "dino": {"feature": 0.2, "token": 0.6}}
    ablated = {"cls": {"feature": 0.5}, "dino": {"feature": 0.4}}
    no_token = provenance(losses=ablated, interaction={**UMT, "model_token": False})
    measurements = [
        measurement(cub, 70.0, provenance=provenance(seed=0)),
        measurement(cub, 71.0, provenance=provenance(seed=0), seed=1),
        measurement(cub, 70.0, provenance=provenance(losses=other, seed=1), weights_hash="b" * 64),
        measurement(cub, 60.0, provenance=no_token, weights_hash="c" * 64),
    ]
    table = build_student_table(DECLARED[3], [cub], students_of(measurements), "About.")
    assert rows(table) == [("UMT", "0.80 ± 0.14", "0.40 ± 0.14"), ("w/o model token", "–", "0.90")]
    assert table is not None
    assert table.groups[0].title == "vit_base_patch16_224 of resnet50.tv2_in1k, vit_base_patch16_dinov3"
    assert "summed over the teachers" in table.notes[0]


def test_combinations_are_compared_in_one_group_and_ablations_left_out(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    alone = provenance(
        name="alone", teachers=[{"name": "dino", "kind": "dino", "backbone": "timm:vit_base_patch16_dinov3"}]
    )
    ablated = provenance(name="ablated", interaction={**UMT, "cross_space": False})
    measurements = [measurement(cub, 70.0, provenance=said) for said in (provenance(), alone, ablated)]
    table = build_student_table(DECLARED[2], [cub], students_of(measurements), "About.")
    assert rows(table) == [
        ("mine", "resnet50.tv2_in1k", "–", "vit_base_patch16_dinov3", "0.70", "0.30", "0.60"),
        ("alone", "–", "–", "vit_base_patch16_dinov3", "0.40", "0.20", "0.60"),
    ]


def test_heads_are_rows_beside_their_backbone(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    measurements = [
        measurement(cub, 70.0, provenance=provenance()),
        measurement(cub, 75.0, provenance=provenance(space="dino", space_kind="dino"), weights_hash="b" * 64),
        measurement(cub, 80.0, weights_hash="c" * 64),
    ]
    table = build_student_table(DECLARED[4], [cub], students_of(measurements), "About.")
    assert rows(table) == [("Backbone", "70.0"), ("dino head", "75.0")]
    assert table is not None
    assert [cell.best for group in table.groups for row in group.rows for cell in row.cells] == [False, True]


def test_readouts_are_students_and_single_heads_are_features(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    readout = {"classification": "cls", "dense": "dino"}
    plain = provenance(readout=readout)
    ways = [{**plain, "readout": readout}, plain, {**plain, "space": "cls"}, {**plain, "space": "dino"}]
    other = provenance(name="other", readout=readout, training={"epochs": 9})
    measurements = [
        measurement(column, value + shift, provenance=way, weights_hash=f"{index}" * 64, dataset=column.dataset)
        for index, (way, value) in enumerate(zip([*ways, {**other, "readout": readout}], range(70, 75), strict=True))
        for shift, column in enumerate(FINE_GRAINED)
    ]
    students = students_of(measurements)
    heads = rows(build_student_table(DECLARED[4], FINE_GRAINED, students, "About."))
    assert [(name, value) for name, value in heads] == [
        ("Backbone", "73.0"),
        ("cls head", "74.0"),
        ("dino head", "75.0"),
    ]
    assert [row[1] for row in rows(build_student_table(DECLARED[5], FINE_GRAINED, students, "About."))] == [
        "70.0",
        "74.0",
    ]


def test_the_average_needs_all_data_sets(measurement, provenance) -> None:  # type: ignore[no-untyped-def]
    mse = provenance(name="mse")
    mse["objectives"] = {"cls": "pooled_cosine", "dino": "patch_mse"}
    mse["recipe"]["teachers"][1]["feature_loss"] = "patch_mse"
    aircraft = FINE_GRAINED[0]
    measurements = [
        measurement(column, value, provenance=provenance(), dataset=column.dataset)
        for column, value in zip(FINE_GRAINED, (80.0, 90.0, 85.0), strict=True)
    ]
    measurements += [measurement(aircraft, 81.0, provenance=mse, weights_hash="b" * 64, dataset="aircraft")]
    table = build_student_table(DECLARED[5], FINE_GRAINED, students_of(measurements), "About.")
    assert rows(table) == [("Cosine", "80.0", "90.0", "85.0", "85.0"), ("MSE", "81.0", "–", "–", "–")]


def test_equal_words_of_other_settings_are_told_apart(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    measurements = [
        measurement(cub, 70.0, provenance=provenance(name="short", training={"epochs": 1})),
        measurement(cub, 75.0, provenance=provenance(name="long", training={"epochs": 9}), weights_hash="b" * 64),
    ]
    assert rows(build_student_table(DECLARED[4], [cub], students_of(measurements), "About.")) == [
        ("Backbone [short]", "70.0"),
        ("Backbone [long]", "75.0"),
    ]


def test_one_row_is_no_comparison(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    students = students_of([measurement(cub, 70.0, provenance=provenance())])
    assert build_student_table(DECLARED[4], [cub], students, "About.") is None


@pytest.mark.parametrize(("number", "expected"), [(2, 4), (3, 4), (4, 4), (5, 2), (7, 2)])
def test_the_papers_rows_stand_above_as_printed(number: int, expected: int, cub, nyu) -> None:  # type: ignore[no-untyped-def]
    ade = Column("ADE20K", "ade20k_linear", "ade20k", "paper", "miou")
    table = build_student_table(DECLARED[number], [*FINE_GRAINED, ade, nyu], [], "About.", [paper_table(number)])
    assert table is not None
    (group,) = table.groups
    assert {row.source for row in group.rows} == {"paper"}
    assert len(group.rows) == expected
    printed = [cell.value for row in group.rows for cell in row.cells]
    known = {2: 0.20, 3: 0.29, 4: 73.8, 5: 90.9, 7: 0.349}
    assert known[number] in printed
