"""`ckpt.pth#dino`: a UMT student seen through one of its spaces, as a Backbone like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from umt.backbones.checkpoint import Checkpoint, Interaction, Space, read_checkpoint
from umt.backbones.checkpoint import load as load_student
from umt.backbones.contract import Backbone, Features
from umt.backbones.spec import Spec, parse_spec
from umt.backbones.trust import refuse_untrusted
from umt.backbones.weights import load_weights
from umt.declarations import build
from umt.distill.distiller import Distiller, Spaces, make_spaces
from umt.distill.recipe import DistillRecipe, InteractionSpec
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, StudentShape
from umt.distill.teachers.standardise import Standardisers
from umt.errors import WeightsError, unknown_name
from umt.files import below
from umt.options import weights_folder


class SpaceBackbone(Backbone):
    """A head of a checkpoint, the paper's "DINO head" and its like (A.6).

    pooled: the model token projected into the space; without one, the space's pooled features. The last map and its
    class token are those of the space, in the teacher's units; earlier maps are the student's own.
    """

    def __init__(self, student: Backbone, spaces: Spaces, standardisers: Standardisers | None, name: str) -> None:
        names = [shape.name for shape in spaces.spaces]
        shape = spaces.spaces[names.index(name)]
        self.summarises = getattr(spaces, "model_token", True) is not None
        super().__init__(
            student.preprocess,
            channels=(*student.channels[:-1], shape.features),
            strides=student.strides,
            dim=shape.summary if self.summarises else shape.features,
        )
        spaces.keep_only(names.index(name))
        if standardisers is not None:
            standardisers.keep_only(name)
        student.use_preprocess(
            replace(student.preprocess, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        )  # it is done here
        self.student, self.spaces, self.standardisers, self.space = student, spaces, standardisers, name
        self.architecture = student.architecture

    @property
    def has_cls(self) -> bool:
        return bool(self.spaces.has_cls)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        """Compute features of normalised images in the space."""
        last = self.depth - 1
        features = self.student.extract(images, [*(index for index in maps if index != last), last])
        space: SpaceFeatures = self.spaces(features)[self.space]
        if self.standardisers is not None:
            space = self.standardisers.undo(self.space, space)
        return _features(features, space, maps, last)

    def layer_ids(self) -> dict[str, int]:
        """Return the student's own depths, and the spaces above them."""
        layers = {f"student.{name}": layer for name, layer in self.student.layer_ids().items()}
        top = max(layers.values()) + 1
        return {name: layers.get(name, top) for name, _ in self.named_parameters()}

    def weights_hash(self) -> str:
        """Hash weights and space: two spaces of equal widths have the same weights, but are two backbones."""
        return hashlib.sha256(f"{super().weights_hash()}#{self.space}".encode()).hexdigest()

    def no_weight_decay(self) -> set[str]:
        return {f"student.{name}" for name in self.student.no_weight_decay()}


def load(spec: Spec) -> SpaceBackbone:
    """Load `FILE#HEAD` for the registry; UMTError lists the heads of the file."""
    path = Path(spec.name)
    checkpoint = read_checkpoint(path)
    named = {space.name: space for space in checkpoint.spaces}
    if spec.tap not in named or checkpoint.interaction is None:
        raise unknown_name(f"head of {path}", spec.tap or "", named)
    student = load_student(parse_spec(spec.text.partition("#")[0]))
    spaces, standardisers = _modules(path, checkpoint)
    backbone = SpaceBackbone(student, spaces, standardisers, named[spec.tap].name)
    backbone.load_report = student.load_report
    backbone.language = _language(path, checkpoint, named[spec.tap]) if backbone.summarises else None
    origin = {"space": spec.tap, "space_kind": named[spec.tap].kind}
    backbone.provenance = {**checkpoint.provenance, **origin}
    return backbone


def _language(path: Path, checkpoint: Checkpoint, space: Space) -> str | None:
    """Return the open_clip model that the space's summary was trained on; None for a space of another kind."""
    if space.kind != "clip" or not space.teacher.startswith("open_clip:"):
        return None
    try:
        teachers = checkpoint.provenance.get("recipe", {}).get("teachers", [])
        file = {teacher["name"]: teacher.get("weights") for teacher in teachers}.get(space.name)
        weights = {"weights": str(below(weights_folder(None), file, links=True))} if file else {}
    except (AttributeError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: field 'provenance.recipe.teachers' is damaged ({error}); distil it again"
        ) from error
    spec = parse_spec(space.teacher).with_options(**weights)
    refuse_untrusted(spec)
    return spec.text


def stored_interaction(recipe: DistillRecipe, model: Distiller) -> Interaction:
    """Return the record of the spaces for a checkpoint."""
    options: dict[str, Any] = {
        "spec": asdict(recipe.interaction),
        "student": asdict(StudentShape.of(model.student)),
        "spaces": [asdict(shape) for shape in model.spaces.spaces],
        "standardise": recipe.alignment.standardise,
    }
    return Interaction(options, _held(model.spaces, model.standardisers).state_dict())


def _modules(path: Path, checkpoint: Checkpoint) -> tuple[Spaces, Standardisers | None]:
    """Build spaces and standardisers as the file describes them, with their weights."""
    assert checkpoint.interaction is not None
    options = checkpoint.interaction.options
    try:
        shapes = [build(SpaceShape, dict(shape), path) for shape in options["spaces"]]
        spaces = make_spaces(
            build(
                InteractionSpec, {"token_pooling": "before", **options["spec"]}, path
            ),  # as files without it were made
            build(StudentShape, dict(options["student"]), path),
            shapes,
        )
        method = str(options["standardise"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: field 'interaction.options' is incomplete ({error}); distil it again") from error
    standardisers = None if method == "none" else Standardisers(method, shapes)
    load_weights(_held(spaces, standardisers), checkpoint.interaction.state_dict, source=str(path))
    return spaces, standardisers


def _held(spaces: nn.Module, standardisers: Standardisers | None) -> nn.ModuleDict:
    """Collect both in one module, with the names that their weights have in a file."""
    return nn.ModuleDict({"spaces": spaces} | ({} if standardisers is None else {"standardisers": standardisers}))


def _features(student: Features, space: SpaceFeatures, maps: Sequence[int], last: int) -> Features:
    """Return the student's features with the last map, its class token and the pooled feature replaced."""
    tokens_of_maps: Sequence[Tensor | None] = student.map_cls or [None] * len(student.maps)
    chosen = iter(zip(student.maps, tokens_of_maps, strict=True))
    pairs = [(space.fmap, space.cls) if index == last else next(chosen) for index in maps]
    pooled = space.fmap.mean(dim=(2, 3)) if space.summary is None else space.summary
    tokens = [token for _, token in pairs if token is not None]
    return Features(pooled, space.cls, [fmap for fmap, _ in pairs], tokens if len(tokens) == len(pairs) > 0 else None)
