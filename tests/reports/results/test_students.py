"""The record in results of the distillation of their backbones."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reports.results.students import students_of


def test_a_student_is_read_from_what_its_checkpoint_says(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    (seen,) = students_of([measurement(cub, 70.0, provenance=provenance(), architecture="convnext_base")])
    assert (seen.space, seen.student.recipe, seen.student.architecture) == (None, "mine", "convnext_base")
    cls, dino = seen.student.teachers
    assert (cls.name, cls.kind, cls.model) == ("cls", "classification", "resnet50.tv2_in1k")
    assert (dino.objective, dino.losses) == ("patch_cosine", {"feature": 0.2, "token": 0.4})
    assert seen.student.lineage == "convnext_base of resnet50.tv2_in1k, vit_base_patch16_dinov3"


def test_a_head_is_of_the_same_student(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    heads = students_of(
        [
            measurement(cub, 70.0, provenance=provenance()),
            measurement(cub, 71.0, provenance=provenance(space="dino", space_kind="dino"), weights_hash="b" * 64),
        ]
    )
    assert [seen.space for seen in heads] == [None, "dino"]
    assert heads[0].student == heads[1].student


def test_a_readout_stands_for_its_student(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    readout = {"classification": "cls", "dense": "dino"}
    plain = provenance(readout=readout)
    seen = students_of(
        [
            measurement(cub, 70.0, provenance={**plain, "readout": readout}),
            measurement(cub, 71.0, provenance=plain, weights_hash="b" * 64),
            measurement(cub, 72.0, provenance={**plain, "space": "dino"}, weights_hash="c" * 64),
        ]
    )
    assert seen[0].student == seen[1].student == seen[2].student
    assert [item.stands_for_student for item in seen] == [True, False, False]
    assert [item.plain for item in seen] == [False, True, False]


def test_seeds_are_students_of_equal_settings(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    one, other, more = students_of(
        [
            measurement(cub, 70.0, provenance=provenance(seed=0)),
            measurement(cub, 70.0, provenance=provenance(seed=1)),
            measurement(cub, 70.0, provenance=provenance(training={"epochs": 9})),
        ]
    )
    assert one.student.digest != other.student.digest
    assert one.student.settings == other.student.settings != more.student.settings


@pytest.mark.parametrize("broken", ["recipe", "objectives", "losses"])
def test_what_is_no_recipe_is_no_student(measurement, cub, provenance, broken: str) -> None:  # type: ignore[no-untyped-def]
    said: dict[str, Any] = copy.deepcopy(provenance())
    said[broken] = ["anything"]
    assert students_of([measurement(cub, 70.0, provenance=said), measurement(cub, 70.0)]) == []
