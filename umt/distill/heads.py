"""`ckpt.pth` and `ckpt.pth#dino`: a UMT student seen through its heads, as a Backbone like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from umt.backbones.checkpoint import (
    PLAIN,
    Checkpoint,
    Interaction,
    Readout,
    Space,
    plain_student,
    read_checkpoint,
)
from umt.backbones.contract import Backbone, Features
from umt.backbones.spec import Spec, parse_spec
from umt.backbones.trust import refuse_untrusted
from umt.backbones.weights import load_weights
from umt.declarations import build
from umt.distill.alignment.standardise import Standardisers
from umt.distill.distiller import Distiller, Spaces, make_spaces
from umt.distill.recipe import DistillRecipe, InteractionSpec
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, StudentShape
from umt.errors import WeightsError, unknown_name
from umt.files import below
from umt.options import weights_folder


class HeadBackbone(Backbone):
    """A student through its heads, the paper's "DINO head" and its like (A.6).

    pooled: the model token projected into the space of `readout.classification`; without one, the space's pooled
    features. The last map and its class token are those of the space of `readout.dense`. All are in the teacher's
    units; earlier maps are the student's own.
    """

    def __init__(
        self, student: Backbone, spaces: Spaces, standardisers: Standardisers | None, readout: Readout
    ) -> None:
        shapes = {shape.name: shape for shape in spaces.spaces}
        self.summarises = getattr(spaces, "model_token", True) is not None
        pooled = shapes[readout.classification]
        super().__init__(
            student.preprocess,
            channels=(*student.channels[:-1], shapes[readout.dense].features),
            strides=(*student.strides[:-1], student.strides[spaces.map_of_cells(readout.dense)]),
            dim=pooled.summary if self.summarises else pooled.features,
        )
        spaces.keep_only(summary=readout.classification, features=readout.dense)
        if standardisers is not None:
            standardisers.keep_only(readout.classification, readout.dense)
        student.use_preprocess(
            replace(student.preprocess, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        )  # it is done here
        self.student, self.spaces, self.standardisers, self.readout = student, spaces, standardisers, readout
        self.architecture = student.architecture

    @property
    def has_cls(self) -> bool:
        return bool(self.spaces.has_cls)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        """Compute features of normalised images in the spaces."""
        last = self.depth - 1
        own_maps, space_maps = (
            [index for index in maps if index != last],
            [self.depth + index for index in self.spaces.maps],
        )
        features = self.student.extract(images, [*own_maps, *space_maps])
        spaces: dict[str, SpaceFeatures] = self.spaces(_from(features, len(own_maps)))
        classifying, dense = spaces[self.readout.classification], spaces[self.readout.dense]
        space = self._in_units(self.readout.dense, replace(dense, summary=classifying.summary))
        pooled = space.summary
        if pooled is None:
            pooled = self._in_units(self.readout.classification, classifying).fmap.mean(dim=(2, 3))
        return _features(features, pooled, space, maps, last)

    def _in_units(self, name: str, space: SpaceFeatures) -> SpaceFeatures:
        """Return a space in its teacher's own units, its summary in those of the classification head."""
        if self.standardisers is None:
            return space
        return self.standardisers.undo(name, space, summary_of=self.readout.classification)

    def layer_ids(self) -> dict[str, int]:
        """Return the student's own depths, and the spaces above them."""
        layers = {f"student.{name}": layer for name, layer in self.student.layer_ids().items()}
        top = max(layers.values()) + 1
        return {name: layers.get(name, top) for name, _ in self.named_parameters()}

    def hash_weights(self) -> str:
        """Hash weights and heads: two spaces of equal widths have the same weights, but are two backbones."""
        heads = list(dict.fromkeys([self.readout.classification, self.readout.dense]))
        return hashlib.sha256(f"{super().hash_weights()}#{'+'.join(heads)}".encode()).hexdigest()

    def no_weight_decay(self) -> set[str]:
        return {f"student.{name}" for name in self.student.no_weight_decay()}


def load(spec: Spec, checkpoint: Checkpoint) -> HeadBackbone:
    """Load `FILE#HEAD`, or `FILE` through the heads that it names; UMTError lists the heads of the file."""
    path = Path(spec.name)
    spaces_by_name = {space.name: space for space in checkpoint.spaces}
    readout = Readout(spec.head, spec.head) if spec.head else checkpoint.readout
    if (
        checkpoint.interaction is None
        or readout is None
        or not {readout.classification, readout.dense} <= spaces_by_name.keys()
    ):
        raise unknown_name(f"head of {path}", spec.head or "", [*spaces_by_name, PLAIN])
    student = plain_student(spec, checkpoint)
    spaces, standardisers = _modules(path, checkpoint)
    backbone = HeadBackbone(student, spaces, standardisers, readout)
    backbone.load_report = student.load_report
    backbone.language = (
        _language(path, checkpoint, spaces_by_name[readout.classification]) if backbone.summarises else None
    )
    backbone.provenance = {**checkpoint.provenance, **_origin(readout, checkpoint)}
    return backbone


def _origin(readout: Readout, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the fields that tell results of heads: the head if there is one alone, the readout if it is the file's."""
    kinds = {space.name: space.kind for space in checkpoint.spaces}
    alone = readout.classification == readout.dense
    head = {"space": readout.dense, "space_kind": kinds[readout.dense]} if alone else {}
    return {**head, "readout": asdict(readout)} if readout == checkpoint.readout else head


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


def begin_from(path: Path, model: Distiller) -> None:
    """Give a distiller the weights of a checkpoint: student, spaces and standardisers.

    Raises UMTError if they do not fit, with the names that differ.
    """
    checkpoint = read_checkpoint(path)
    if checkpoint.interaction is None:
        raise WeightsError(
            f"{path}: field 'interaction' is missing, so it has no spaces to begin with; leave out 'start'"
        )
    load_weights(model.student, checkpoint.state_dict, source=str(path))
    names, recipe_names = [[space.name for space in spaces] for spaces in (checkpoint.spaces, model.spaces.spaces)]
    if names != recipe_names:
        raise WeightsError(
            f"{path}: has the spaces {', '.join(names)}, the recipe the teachers {', '.join(recipe_names)}; name the "
            "same ones in the same order"
        )
    modules = _modules_of(model.spaces, model.standardisers)
    load_weights(modules, checkpoint.interaction.state_dict, source=str(path))


def stored_interaction(recipe: DistillRecipe, model: Distiller) -> Interaction:
    """Return the record of the spaces for a checkpoint."""
    options: dict[str, Any] = {
        "spec": asdict(recipe.interaction),
        "student": asdict(StudentShape.of(model.student)),
        "spaces": [asdict(shape) for shape in model.spaces.spaces],
        "standardise": recipe.alignment.standardise,
        "standardise_summary": recipe.alignment.standardise_summary,
    }
    return Interaction(options, _modules_of(model.spaces, model.standardisers).state_dict())


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
        method, summary_method = str(options["standardise"]), options.get("standardise_summary")
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: field 'interaction.options' is incomplete ({error}); distil it again") from error
    standardisers = Standardisers.of(method, summary_method, shapes)
    load_weights(_modules_of(spaces, standardisers), checkpoint.interaction.state_dict, source=str(path))
    return spaces, standardisers


def _modules_of(spaces: nn.Module, standardisers: Standardisers | None) -> nn.ModuleDict:
    """Collect both in one module, with the names that their weights have in a file."""
    return nn.ModuleDict({"spaces": spaces} | ({} if standardisers is None else {"standardisers": standardisers}))


def _from(features: Features, position: int) -> Features:
    """Return features without the maps before a position."""
    tokens = features.map_cls
    return replace(features, maps=features.maps[position:], map_cls=None if tokens is None else tokens[position:])


def _features(student: Features, pooled: Tensor, space: SpaceFeatures, maps: Sequence[int], last: int) -> Features:
    """Return the student's features with the last map, its class token and the pooled feature replaced."""
    tokens_of_maps: Sequence[Tensor | None] = student.map_cls or [None] * len(student.maps)
    map_pairs = iter(zip(student.maps, tokens_of_maps, strict=True))
    pairs = [(space.fmap, space.cls) if index == last else next(map_pairs) for index in maps]
    tokens = [token for _, token in pairs if token is not None]
    return Features(pooled, space.cls, [fmap for fmap, _ in pairs], tokens if len(tokens) == len(pairs) > 0 else None)
