"""Rows and groups of a built table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.suite.suite import Column, SuiteTable
from reports.building.build import build_table
from reports.building.table import Table
from reports.paper import paper_table


def _table(columns, measurements, caption="About.", quoted=()) -> Table | None:
    return build_table("table1", SuiteTable("Title", columns=tuple(columns)), measurements, caption, quoted)


def _rows(table):
    return {row.name: row for group in table.groups for row in group.rows}


def _groups(table):
    return {group.title: [row.name for row in group.rows] for group in table.groups}


def test_measured_rows_without_the_paper(measurement, cub, nyu):
    measurements = [
        measurement(cub, 80.0, backbone="b"),
        measurement(cub, 81.0, backbone="a"),
        measurement(nyu, 0.3, backbone="a"),
    ]
    table = _table([cub, nyu], measurements)
    assert list(_rows(table)) == ["a", "b"]
    assert [cell.text for cell in _rows(table)["a"].cells] == ["81.0", "0.300"]
    assert [cell.text for cell in _rows(table)["b"].cells] == ["80.0", "–"]
    assert table.label_headings == ("Backbone",)
    assert not any("paper)" in note or "†" in note for note in table.notes)


def test_paper_rows_are_marked_and_stand_in_their_columns(measurement, cub, nyu):
    measurements = [measurement(cub, 80.0, architecture="vit_base_patch16_clip_224")]
    table = _table([cub, nyu], measurements, quoted=[paper_table(1)])
    rows = [row for group in table.groups for row in group.rows]
    assert [row.source for row in rows].count("paper") == 21
    (student,) = [row for row in rows if row.labels == ("UMT", "ViT-B/16", "ViT->ViT", "1.2M")]
    assert (student.name, [cell.text for cell in student.cells]) == ("UMT (paper)", ["89.2", "0.300"])
    assert _rows(table)["mine"].labels == ("mine", "vit_base_patch16_clip_224", "–", "–")


def test_groups_follow_the_architecture(measurement, cub):
    architectures = {
        "a": "resnet50",
        "b": "convnext_base",
        "c": "ViT-B-16",
        "d": "vit_large_patch16_224",
        "e": "tf_efficientnet_lite0",
        "f": "PatchMean",
        "g": "resnet50x4_clip",
    }
    measurements = [
        measurement(cub, 80.0, backbone=label, architecture=architecture)
        for label, architecture in architectures.items()
    ]
    assert _groups(_table([cub], measurements)) == {
        "ResNet-50": ["a"],
        "ConvNeXt-B": ["b"],
        "ViT-B": ["c"],
        "ViT-L": ["d"],
        "Other architectures": ["e", "f", "g"],
    }


def test_bold_is_per_group(measurement, cub):
    values = {"a": ("resnet50", 70.0), "b": ("resnet50", 71.0), "c": ("x", 90.0), "d": ("x", 89.0)}
    measurements = [
        measurement(cub, value, backbone=label, architecture=name) for label, (name, value) in values.items()
    ]
    rows = _rows(_table([cub], measurements))
    assert [rows[label].cells[0].best for label in "abcd"] == [False, True, True, False]


def test_a_single_group_has_no_title(measurement, cub):
    assert list(_groups(_table([cub], [measurement(cub, 1.0)]))) == [""]


def test_other_weights_under_the_same_label_are_a_row_of_their_own(measurement, cub):
    measurements = [
        measurement(cub, 80.0),
        measurement(cub, 81.0, weights_hash="b" * 64),
        measurement(cub, 82.0, backbone="other"),
    ]
    rows = _rows(_table([cub], measurements))
    assert {name: row.cells[0].text for name, row in rows.items()} == {
        "mine [aaaaaaaa]": "80.0",
        "mine [bbbbbbbb]": "81.0",
        "other": "82.0",
    }


def test_paper_values_never_stand_under_other_protocols(measurement, cub, nyu):
    table = _table([replace(cub, protocol="mini"), nyu], [], quoted=[paper_table(1)])
    values = [[cell.value for cell in row.cells] for group in table.groups for row in group.rows]
    assert {first for first, _ in values} == {None}
    assert 0.300 in [second for _, second in values]


def test_footnotes_say_what_was_measured(measurement, cub):
    notes = _table([cub], [measurement(cub, 1.0), measurement(cub, 2.0, seed=1)]).notes
    assert notes == (
        "CUB: CUB-200-2011, 20 train, 10 test; finegrained_finetune, protocol paper version 1 (01234567).",
        "±: sample standard deviation over seeds.",
    )


def test_footnotes_on_backbones_name_every_one_that_they_concern(measurement, cub):
    """Print once what protocol and data say of themselves."""
    random, code = "random weights (pretrained=false)", "code of others"
    notes = {"a": (random,), "b": (), "c": (code, random)}
    measurements = [
        measurement(
            cub, 1.0, backbone=name, seed=seed, footnote=" ".join(["Small.", *(f"{name}: {it}." for it in own)])
        )
        for name, own in notes.items()
        for seed in (0, 1)
    ]
    table = _table([cub], measurements)
    assert table.notes[0].endswith(f"(01234567). Small. a, c: {random}. c: {code}.")


def test_control_characters_do_not_reach_a_reader(measurement, cub):
    evil = "a\x1b[31m\n\u202eb"
    measurements = [measurement(cub, 1.0, backbone=evil, title=evil, official=False, architecture=evil)]
    table = _table([cub], measurements, evil)
    texts = [table.caption, *table.notes, table.columns[0].heading, *_rows(table)]
    texts += [line for row in _rows(table).values() for line in row.cells[0].provenance]
    assert all(text.isprintable() for text in texts)


def test_nothing_to_show_is_no_table(cub):
    assert _table([cub], []) is None


@pytest.mark.parametrize("name", ["Proteus (paper)†", "RADIOv2.5 (paper)†"])
def test_dagger_marks_official_results(cub, name):
    table = _table([cub], [], quoted=[paper_table(1)])
    assert name in _groups(table)["ViT-B"]
    assert any(note.startswith("†: ") for note in table.notes)


def test_columns_of_one_measurement_share_their_footnote(measurement):
    metrics = {"Speed": "images_per_second", "Forward": "gmacs"}
    asked = [Column(heading, "throughput", "imagenet", "mini", name) for heading, name in metrics.items()]
    measured = {"images_per_second": 9.0, "gmacs": 2.0}
    table = _table(asked, [measurement(asked[0], 9.0, metrics=measured, title="photos", official=False)])
    assert len(table.columns) == 2
    assert [note for note in table.notes if "photos" in note] == [
        "Speed, Forward: photos, 20 train, 10 test; throughput, protocol mini version 1 (01234567)."
    ]


def test_a_note_says_what_a_student_learnt_from(measurement, cub, provenance):
    measurements = [
        measurement(cub, 70.0, provenance=provenance()),
        measurement(cub, 75.0, backbone="head", provenance=provenance(space="dino"), weights_hash="b" * 64),
        measurement(cub, 80.0, backbone="plain", weights_hash="c" * 64),
    ]
    notes = [note for note in _table([cub], measurements).notes if "distilled" in note]
    assert notes == [
        "mine; head: vit_base_patch16_224 of resnet50.tv2_in1k, vit_base_patch16_dinov3, distilled by recipe mine."
    ]
