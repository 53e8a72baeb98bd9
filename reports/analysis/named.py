"""Backbones by the names that a command is given, with their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from umt.backbones import Backbone, create_backbone
from umt.backbones.checkpoint import plain_name
from umt.backbones.spec import parse_spec, read_name, refuse_namesakes
from umt.backbones.trust import name_from_file
from umt.declarations import build
from umt.errors import MissingFileError, OptionError
from umt.files import below


@dataclass(frozen=True)
class NamedBackbone:
    """A backbone, its label, and the space of a student that it taught, if it is the student's teacher."""

    label: str
    backbone: Backbone
    teaches: str | None = None

    @cached_property
    def record(self) -> dict[str, str]:
        """The backbone as a dictionary for JSON."""
        return {
            "label": self.label,
            "spec": self.backbone.spec,
            "architecture": self.backbone.architecture,
            "weights_hash": self.backbone.weights_hash(),
        }


@dataclass(frozen=True)
class StatedTeacher:
    """A teacher as a checkpoint states it: its space, the name of its backbone, and a file of its weights."""

    name: str
    backbone: str
    weights: str | None = None


def load_named(texts: Sequence[str], *, plain: bool = False) -> list[NamedBackbone]:
    """Build backbones from `[LABEL=]SPEC` that a person typed; UMTError if two are called the same.

    plain: take students without the heads that their checkpoints name, as table 6 of the paper does.
    """
    names = [read_name(text, trusted=True) for text in texts]
    refuse_namesakes(names)
    specs = [plain_name(name.spec) if plain else name.spec for name in names]
    return [
        NamedBackbone(name.label, create_backbone(spec, trusted=name.trusted))
        for name, spec in zip(names, specs, strict=True)
    ]


def load_teachers(student: NamedBackbone, weights: Path | None) -> list[NamedBackbone]:
    """Build the teachers that a student's checkpoint names; their weight files are looked for in `weights`.

    Raises TrustError if a teacher's name would run code, or lies elsewhere than the checkpoint.
    """
    recipe = student.backbone.provenance.get("recipe")
    teachers = recipe.get("teachers") if isinstance(recipe, dict) else None
    if not isinstance(teachers, list) or not teachers:
        raise OptionError(f"{student.label}: names no teachers; give them as backbones instead of --teachers")
    file = Path(parse_spec(student.backbone.spec).name)
    stated = [_stated(teacher, file) for teacher in teachers]
    return [
        NamedBackbone(f"{teacher.name} teacher", create_backbone(_with_weights(teacher, file, weights)), teacher.name)
        for teacher in stated
    ]


def _stated(teacher: Any, file: Path) -> StatedTeacher:
    fields = teacher if isinstance(teacher, dict) else {}
    known = {name: fields[name] for name in ("name", "backbone", "weights") if name in fields}
    return build(StatedTeacher, known, f"{file}: field 'provenance.recipe.teachers'")


def _with_weights(teacher: StatedTeacher, file: Path, weights: Path | None) -> str:
    name = name_from_file(teacher.backbone, file, "provenance.recipe.teachers")
    if teacher.weights is None:
        return name
    path = below(weights or Path(), teacher.weights, links=True)
    if not path.is_file():
        raise MissingFileError(
            f"{path}: the weights of teacher '{teacher.name}' are not there; name their folder: --weights"
        )
    return parse_spec(name).with_options(weights=str(path)).text
