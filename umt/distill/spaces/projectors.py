"""The baseline: plain one-to-many alignment, with separate projectors for each teacher (as RADIO and Proteus do)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from umt.backbones.contract import Features
from umt.distill.recipe import InteractionSpec
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, StudentShape


class Projectors(nn.Module):
    """Two projectors a teacher: for the student's pooled feature, and for every cell of its last map.

    Each is LayerNorm, Linear, GELU, Linear; hidden width: the spec's, by default the student's own width.
    """

    def __init__(self, spec: InteractionSpec, student: StudentShape, spaces: Sequence[SpaceShape]) -> None:
        super().__init__()
        self.spaces = tuple(spaces)
        self.has_cls = student.has_cls
        self.about = f"{len(self.spaces)} spaces, a projector each"
        hidden = spec.width or student.width
        self.projectors = nn.ModuleDict({space.name: Projector(student, hidden, space) for space in spaces})

    def forward(self, features: Features) -> dict[str, SpaceFeatures]:
        """Compute every space of a batch, by name."""
        return {name: projector(features) for name, projector in self.projectors.items()}

    def keep_only(self, summary: str, features: str) -> None:
        """Drop the projectors but for the summary of one space and the features of one."""
        remaining = {name: self.projectors[name] for name in self.projectors if name in (summary, features)}
        self.projectors = nn.ModuleDict(remaining)
        if summary != features:
            self.projectors[summary].features = nn.Identity()
            self.projectors[features].summary = nn.Identity()


class Projector(nn.Module):
    """The student's features in one space, by two small networks."""

    def __init__(self, student: StudentShape, hidden: int, space: SpaceShape) -> None:
        super().__init__()
        self.summary = _mlp(student.pooled, hidden, space.summary)
        self.features = _mlp(student.width, hidden, space.features)

    def forward(self, features: Features) -> SpaceFeatures:
        fmap, cls = features.maps[-1], features.cls
        cells = self.features(fmap.flatten(2).transpose(1, 2))
        projected = cells.transpose(1, 2).unflatten(2, fmap.shape[2:])
        return SpaceFeatures(self.summary(features.pooled), projected, None if cls is None else self.features(cls))


def _mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, out))
