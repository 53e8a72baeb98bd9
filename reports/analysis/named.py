"""Backbones by the names that a command is given, with what a record says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from umt.backbones import Backbone, create_backbone
from umt.backbones.label import split_label
from umt.backbones.spec import parse_spec
from umt.errors import MissingFileError, OptionError


@dataclass(frozen=True)
class Named:
    """A backbone, what it is called, and the space of a student that it taught, where it is one's teacher."""

    label: str
    backbone: Backbone
    teaches: str | None = None

    @cached_property
    def record(self) -> dict[str, str]:
        """For JSON."""
        return {
            "label": self.label,
            "spec": self.backbone.spec,
            "architecture": self.backbone.architecture,
            "weights_hash": self.backbone.weights_hash(),
        }


def load_named(texts: Sequence[str]) -> list[Named]:
    """From `[LABEL=]SPEC`; UMTError where two are called the same."""
    split = [split_label(text) for text in texts]
    labels = [label for label, _ in split]
    for label in labels:
        if labels.count(label) > 1:
            raise OptionError(f"two backbones are called '{label}'; name them apart as LABEL=SPEC")
    return [Named(label, create_backbone(spec)) for label, spec in split]


def load_teachers(student: Named, weights: Path | None) -> list[Named]:
    """The teachers that a student's checkpoint names; their weight files are looked for in `weights`."""
    recipe = student.backbone.provenance.get("recipe")
    teachers = recipe.get("teachers") if isinstance(recipe, dict) else None
    if not teachers:
        raise OptionError(f"{student.label}: names no teachers; give them as backbones instead of --teachers")
    return [
        Named(f"{teacher['name']} teacher", create_backbone(_with_weights(teacher, weights)), teacher["name"])
        for teacher in teachers
    ]


def _with_weights(teacher: dict[str, str | None], weights: Path | None) -> str:
    spec, file = str(teacher["backbone"]), teacher.get("weights")
    if file is None:
        return spec
    path = (weights or Path()) / file
    if not path.is_file():
        raise MissingFileError(
            f"{path}: the weights of teacher '{teacher['name']}' are not there; name their folder: --weights"
        )
    return parse_spec(spec).with_options(weights=str(path)).text
