"""The UMT checkpoint: a student, its spaces and its provenance, in one file that is read without running code.

{"format": "umt-checkpoint", "version": 1,
 "student": {"spec": "timm:resnet50", "options": {...}, "preprocess": {...}},
 "state_dict": {...},            # weights of the student as a Backbone
 "spaces": [{"name": "dino", "kind": "dino", "teacher": "timm:...", "dim": 2048}, ...],
 "interaction": {"options": {...}, "state_dict": {...}} or None,
 "readout": {"classification": "dino", "dense": "dino"} or None,
 "provenance": {...}}            # plain values: recipe, data, commit
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from umt.backbones.containers.fields import Fields
from umt.backbones.containers.files import Container
from umt.backbones.containers.folders import open_container
from umt.backbones.contract import MAX_SIDE, MIN_CROP_PCT, Backbone, Preprocess, preprocess_options
from umt.backbones.registry import create_backbone
from umt.backbones.spec import Spec, parse_spec
from umt.backbones.trust import FETCHING, HUB_SCHEMES, NETWORK, UNPICKLING, refuse_untrusted, refusing
from umt.backbones.weights import load_weights, read_file
from umt.errors import PackageError, TrustError, UMTError, WeightsError
from umt.files import atomic_file, missing

FORMAT = "umt-checkpoint"
VERSION = 1
PLAIN = "backbone"  # ckpt.pth#backbone: the student without its heads
HEAD_FIELDS = ("space", "space_kind", "readout")  # of a provenance, given by what is loaded and not by the file
HEADS = "umt.distill.heads"  # its `load` gives the student through its heads


@dataclass(frozen=True)
class Student:
    """The data to build a student; `preprocess.size_multiple` is not kept, because the architecture decides it."""

    spec: str
    options: Mapping[str, Any]
    preprocess: Preprocess


@dataclass(frozen=True)
class Space:
    """A space that the student was distilled through."""

    name: str
    kind: str
    teacher: str
    dim: int


@dataclass(frozen=True)
class Interaction:
    """The interaction modules that give the spaces."""

    options: Mapping[str, Any]
    state_dict: Mapping[str, Tensor]


@dataclass(frozen=True)
class Readout:
    """The heads that a student is read out through, by the names of their spaces (paper section A.6)."""

    classification: str  # gives the global feature
    dense: str  # gives the last map


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file."""

    student: Student
    state_dict: Mapping[str, Tensor]
    spaces: Sequence[Space] = ()
    interaction: Interaction | None = None
    readout: Readout | None = None  # None for the plain student
    provenance: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: Path,
    backbone: Backbone,
    *,
    spaces: Sequence[Space] = (),
    interaction: Interaction | None = None,
    readout: Readout | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a student, whole or not at all; UMTError if the student or a value could not be read back."""
    checkpoint = Checkpoint(student_of(backbone), backbone.state_dict(), spaces, interaction, readout, provenance or {})
    content = _content(checkpoint)
    _parse(path, content)
    with atomic_file(path) as handle:
        torch.save(content, handle)


def is_checkpoint(path: Path) -> bool:
    """Return whether a path is a UMT checkpoint, or says that it is one; UMTError if nothing can be read there."""
    return is_student(open_container(path))


def is_student(container: Container) -> bool:
    """Return whether an open file is a UMT checkpoint, or says that it is one."""
    return isinstance(container.content, Mapping) and container.content.get("format") == FORMAT


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check every field; UMTError names the file, the field, the value found and the value expected."""
    content = read_file(path)
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise _no_checkpoint(path, content)
    return _parse(path, content)


def load(spec: Spec) -> Backbone:
    """Load `FILE`, the student as its file says that it is read out, `FILE#backbone`, or `FILE#HEAD`."""
    checkpoint = read_checkpoint(Path(spec.name))
    if spec.head == PLAIN or (spec.head is None and checkpoint.readout is None):
        return plain_student(spec, checkpoint)
    if importlib.util.find_spec(HEADS.rpartition(".")[0]) is None:
        spaces = ", ".join(space.name for space in checkpoint.spaces) or "none"
        raise PackageError(
            f"{spec.name}: its spaces ({spaces}) need umt.distill, which is not installed; take '{spec.name}#{PLAIN}'"
        )
    backbone: Backbone = importlib.import_module(HEADS).load(spec, checkpoint)
    return backbone


def plain_student(spec: Spec, checkpoint: Checkpoint) -> Backbone:
    """Load the student with its own weights and preprocessing; the name's options belong to its architecture."""
    path = Path(spec.name)
    options = dict(spec.options)
    overrides = preprocess_options(options)
    backbone = _build(checkpoint.student, options)
    preprocess = replace(checkpoint.student.preprocess, size_multiple=backbone.preprocess.size_multiple)
    backbone.use_preprocess(preprocess.override(**overrides))
    backbone.load_report = load_weights(backbone, checkpoint.state_dict, source=str(path))
    backbone.provenance, backbone.notes = checkpoint.provenance, ()  # it was built with random weights
    return backbone


def plain_name(text: str) -> str:
    """Return the name of the plain student if a name means a student through its heads, and any other name as it is."""
    spec = parse_spec(text)
    path = Path(spec.name)
    student = not spec.head and (spec.is_file or spec.scheme == "umt") and not missing(path) and is_checkpoint(path)
    return f"{text}#{PLAIN}" if student and read_checkpoint(path).readout else text


def student_of(backbone: Backbone) -> Student:
    """Return the data to build `backbone` again; UMTError if a checkpoint cannot name it."""
    spec = backbone.built_as or parse_spec(backbone.spec)
    if spec.is_file:
        return read_checkpoint(Path(spec.name)).student
    options = {name: value for name, value in spec.options.items() if name not in FETCHING}
    preprocess_options(options)  # they are in backbone.preprocess
    return Student(f"{spec.scheme}:{spec.name}" if spec.scheme else spec.name, options, backbone.preprocess)


def refuse_unstorable(backbone: Backbone) -> None:
    """Raise UMTError if no checkpoint could name the backbone; called before training, not after it."""
    _student(Fields(Path(backbone.spec), {"student": _student_content(student_of(backbone))}).record("student"))


def _build(student: Student, options: Mapping[str, Any]) -> Backbone:
    """Build the architecture alone, without code out of files and without the network."""
    random = {"pretrained": False} if parse_spec(student.spec).scheme in HUB_SCHEMES else {}
    with refusing(UNPICKLING | NETWORK):
        return create_backbone(student.spec, **{**student.options, **options, **random})


def _content(checkpoint: Checkpoint) -> dict[str, Any]:
    interaction = checkpoint.interaction
    return {
        "format": FORMAT,
        "version": VERSION,
        "student": _student_content(checkpoint.student),
        "state_dict": _copied(checkpoint.state_dict),
        "spaces": [asdict(space) for space in checkpoint.spaces],
        "interaction": interaction
        and {"options": dict(interaction.options), "state_dict": _copied(interaction.state_dict)},
        "readout": checkpoint.readout and asdict(checkpoint.readout),
        "provenance": dict(checkpoint.provenance),
    }


def _student_content(student: Student) -> dict[str, Any]:
    preprocess = asdict(student.preprocess)
    del preprocess["size_multiple"]  # belongs to the architecture
    return {"spec": student.spec, "options": dict(student.options), "preprocess": preprocess}


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, each with its own storage: saving a view would save the whole tensor behind it."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def _parse(path: Path, content: Mapping[str, Any]) -> Checkpoint:
    fields = Fields(path, content)
    version = fields.positive("version")
    if version > VERSION:
        raise WeightsError(
            f"{path}: has version {version} of the checkpoint format, this umt-bench reads {VERSION}; update umt-bench"
        )
    spaces = tuple(_space(space) for space in fields.records("spaces"))
    return Checkpoint(
        student=_student(fields.record("student")),
        state_dict=fields.tensors("state_dict"),
        spaces=spaces,
        interaction=_interaction(fields) if content.get("interaction") is not None else None,
        readout=_readout(fields.record("readout"), spaces) if content.get("readout") is not None else None,
        provenance={name: value for name, value in fields.plain("provenance").items() if name not in HEAD_FIELDS},
    )


def _student(fields: Fields) -> Student:
    spec = parse_spec(fields.text("spec"))
    if spec.is_file or spec.options or spec.head or spec.scheme not in (*HUB_SCHEMES, ""):
        raise fields.error("spec", "the plain name of a timm, open_clip or pypi model or of an installed plug-in")
    options = fields.plain("options")
    if any(name in FETCHING for name in options):
        raise fields.error("options", f"options without {', '.join(FETCHING)}")
    try:
        refuse_untrusted(spec.with_options(**options))
    except TrustError as error:
        raise fields.error("options", f"options of an architecture ({error})") from error
    return Student(spec.text, options, _preprocess(fields.record("preprocess")))


def _preprocess(fields: Fields) -> Preprocess:
    """Read the preprocessing, within bounds that keep an image in memory and numbers from overflowing."""
    mean, std = fields.triple("mean"), fields.triple("std")
    if min(std) <= 0:
        raise fields.error("std", "three positive numbers")
    interpolation, crop_pct = fields.text("interpolation"), fields.positive("crop_pct", float)
    if interpolation.upper() not in Image.Resampling.__members__:
        raise fields.error("interpolation", f"one of {', '.join(Image.Resampling.__members__).lower()}")
    if not MIN_CROP_PCT <= crop_pct <= 1:
        raise fields.error("crop_pct", f"a share from {MIN_CROP_PCT} to 1")
    size = fields.positive("size")
    if size > MAX_SIDE:
        raise fields.error("size", f"a side in pixels of at most {MAX_SIDE}")
    return Preprocess(mean, std, interpolation, crop_pct, size)


def _space(fields: Fields) -> Space:
    return Space(fields.text("name"), fields.text("kind"), fields.text("teacher"), fields.positive("dim"))


def _readout(fields: Fields, spaces: Sequence[Space]) -> Readout:
    names = [space.name for space in spaces]
    for part in ("classification", "dense"):
        if fields.text(part) not in names:
            raise fields.error(part, f"the name of a space ({', '.join(names) or 'the file has none'})")
    return Readout(fields.text("classification"), fields.text("dense"))


def _interaction(fields: Fields) -> Interaction:
    record = fields.record("interaction")
    return Interaction(record.plain("options"), record.tensors("state_dict"))


def _no_checkpoint(path: Path, content: Any) -> UMTError:
    """Return the error for weights without an architecture, most often; timm's scripts save its name as `arch`."""
    architecture_field = content.get("arch") if isinstance(content, Mapping) else None
    architecture = architecture_field if isinstance(architecture_field, str) else "ARCHITECTURE"
    return WeightsError(
        f"{path}: no UMT checkpoint; for plain weights name the model too: timm:{architecture}?weights={path}"
    )
