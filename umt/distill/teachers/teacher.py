"""Frozen teachers: each sees the student's view through its own preprocessing and gives the targets of its space."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from umt.backbones import create_backbone
from umt.backbones.contract import Backbone, Features, round_up
from umt.distill.alignment.losses import FEATURE_LOSSES, feature_loss
from umt.distill.objectives import OBJECTIVES, objective_of
from umt.distill.recipe import TeacherSpec
from umt.distill.spaces.shapes import Grid, Targets, resampled
from umt.distill.teachers.mosaic import features_of_tiles, tiled
from umt.errors import BackboneError, DeclarationError, SizeError
from umt.files import below


class Teacher:
    """A frozen backbone. It is no Module: it must not be trained, averaged, wrapped or saved.

    `grid` is that of the student's map, onto which the maps are resampled (bilinear, antialiased when shrinking).
    """

    def __init__(self, spec: TeacherSpec, backbone: Backbone, view_size: int, grid: Grid) -> None:
        self.spec = spec
        self.objective = objective_of(spec.objective)
        self.feature_loss = FEATURE_LOSSES[feature_loss(spec.feature_loss or self.objective.feature_loss)]
        self.grid = grid
        self.backbone = backbone.eval().requires_grad_(False)
        self.frozen = False
        self.size = input_size(spec, backbone, view_size, grid)
        self._check_objective()
        self._check_mosaic()

    @property
    def name(self) -> str:
        return self.spec.name

    def to(self, device: torch.device) -> Teacher:
        """Move the backbone, in channels-last format, in which plain CNNs are faster."""
        self.backbone.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def compile(self) -> None:
        """Let torch.compile speed up the backbone, for each batch size apart; on a CPU its weights become constants.

        Constants are packed for the matrix units once, and cast to the precision of autocast once.
        """
        self.backbone.compile(dynamic=False)
        self.frozen = next(self.backbone.parameters()).device.type == "cpu"

    def __call__(self, images: Tensor) -> Targets:
        """Compute the targets of views [B, 3, R, R] in [0, 1]; they share no memory with the teacher's activations."""
        return self.targets(self.features(images))

    @torch.no_grad()
    def features(self, images: Tensor) -> Features:
        """Compute the backbone's features of views [B, 3, R, R] in [0, 1], each alone or as a tile of a mosaic."""
        side, maps = self.spec.mosaic, (self.spec.map,)
        views = resized(images, self.size // side)
        with _constant_weights() if self.frozen else nullcontext():
            if side == 1:
                return self.backbone(views, maps=maps)
            return features_of_tiles(self.backbone(tiled(views, side), maps=maps), side, len(images))

    @torch.no_grad()
    def targets(self, features: Features) -> Targets:
        """Return the targets of a student in features; several students can share them."""
        return Targets(_owned(self.objective.summary(features)), _owned(self._features(features)))

    def beside(self, spec: TeacherSpec, view_size: int, grid: Grid) -> Teacher:
        """Return this teacher as another student's recipe has it, with the same backbone; UMTError for another size."""
        teacher = Teacher(spec, self.backbone, view_size, grid)
        if teacher.size != self.size:
            raise SizeError(
                f"teacher '{self.name}' sees {self.size} pixels for one student and {teacher.size} for another; give "
                "both the same 'size' to share a pass"
            )
        return teacher

    def widths(self) -> tuple[int, int]:
        """Return the widths of the summary and of the features."""
        device = next(self.backbone.parameters()).device
        targets = self(torch.zeros(1, 3, self.size, self.size, device=device))
        return targets.summary.shape[1], targets.features.shape[1]

    def _features(self, features: Features) -> Tensor:
        fmap = features.maps[-1]
        if self.feature_loss.pooled:
            return fmap.mean(dim=(2, 3))
        return resampled(fmap, self.grid)

    def _check_mosaic(self) -> None:
        side = self.spec.mosaic
        if side == 1:
            return
        if not self.objective.mosaics:
            names = " or ".join(objective.name for objective in OBJECTIVES.values() if objective.mosaics)
            raise DeclarationError(
                f"teacher '{self.name}': a mosaic has no vector of each view for the objective {self.objective.name}; "
                f"take {names}"
            )
        stride = self.backbone.strides[self.spec.map]
        if self.size % (side * stride):
            raise SizeError(
                f"teacher '{self.name}': size {self.size} is not a multiple of mosaic {side} x {stride} pixels of a "
                f"cell; nearest {max(1, round(self.size / (side * stride))) * side * stride}"
            )

    @torch.no_grad()
    def _check_objective(self) -> None:
        noise = torch.rand(2, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))
        problem = self.objective.incompatible(self.backbone(noise, maps=(-1,)))
        if problem:
            raise BackboneError(
                f"teacher '{self.name}': {self.spec.backbone} cannot have the objective {self.objective.name}: "
                f"{problem}"
            )


def load_teacher(spec: TeacherSpec, weights: Path, view_size: int, grid: Grid, *, trusted: bool = False) -> Teacher:
    """Build a teacher with its weights, from a file in `weights` if the recipe names one.

    trusted: true if its name may run code, see `load_recipe`.
    """
    options: dict[str, Any] = {"weights": str(below(weights, spec.weights, links=True))} if spec.weights else {}
    return Teacher(spec, create_backbone(spec.backbone, trusted=trusted, **options), view_size, grid)


def all_targets(teachers: Sequence[Teacher], images: Tensor) -> dict[str, Targets]:
    """Compute targets by the teacher's name; one teacher at a time, so that only one has activations in memory."""
    return {teacher.name: teacher(images) for teacher in teachers}


def resized(images: Tensor, size: int) -> Tensor:
    """Resize square images in [0, 1] to `size` pixels; bicubic, and antialiased if they shrink."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True).clamp(0, 1)


def _owned(values: Tensor) -> Tensor:
    """Copy values that are part of a larger tensor, which would stay in memory: the class token among its tokens."""
    return values.clone() if values.untyped_storage().nbytes() > values.nbytes else values


def _constant_weights() -> AbstractContextManager[None]:
    """Make inductor take the weights as constants inside this context; as an option of a compilation it is ignored."""
    import torch._inductor.config as inductor

    context: AbstractContextManager[None] = inductor.patch(freezing=True)
    return context


def input_size(spec: TeacherSpec, backbone: Backbone, view_size: int, grid: Grid) -> int:
    """Return the pixels of the teacher's input; UMTError if the recipe's own size does not fit the backbone."""
    multiple = backbone.preprocess.size_multiple
    if spec.size is None:
        return round_up(view_size, multiple) * spec.mosaic
    size = grid[0] * backbone.strides[-1] * spec.mosaic if spec.size == "grid" else spec.size
    if not isinstance(size, int) or size % multiple:
        raise SizeError(f"teacher '{spec.name}': size {size} is not a multiple of {multiple}, which it needs")
    return size
