"""The baseline: plain one-to-many alignment, with separate projectors for each teacher (as RADIO and Proteus do)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from umt.backbones.contract import Features
from umt.distill.recipe import InteractionSpec
from umt.distill.spaces.shapes import SpaceFeatures, SpaceShape, StudentShape, from_end, needed_maps, token_of


class Projectors(nn.Module):
    """Two projectors a teacher: for the student's pooled feature, and for every cell of one of its maps.

    Each is LayerNorm, Linear, GELU, Linear; hidden width: the spec's, by default the student's own width. The map is
    the last one, or that of `spec.maps`, so that an early map with fine cells can meet a teacher (CNN pyramids).
    """

    dropped: type[nn.Module] = nn.Identity  # stands where a projector was

    def __init__(self, spec: InteractionSpec, student: StudentShape, spaces: Sequence[SpaceShape]) -> None:
        super().__init__()
        self.spaces = tuple(spaces)
        self.has_cls = student.has_cls
        self.about = f"{len(self.spaces)} spaces, a projector each"
        hidden = spec.width or student.width
        self.map_of = {space.name: spec.map_of(space.name) for space in spaces}
        self.maps: tuple[int, ...] = needed_maps(self.map_of.values())
        self.projectors = nn.ModuleDict(
            {space.name: Projector(student, hidden, space, self.map_of[space.name]) for space in spaces}
        )

    def forward(self, features: Features) -> dict[str, SpaceFeatures]:
        """Compute every space of a batch, by name; the last maps of `features` are those that `maps` lists."""
        return {
            name: projector(features, from_end(self.maps, self.map_of[name]))
            for name, projector in self.projectors.items()
        }

    def map_of_cells(self, name: str) -> int:
        """Return the student's map whose cells a space has."""
        return self.map_of[name]

    def keep_only(self, summary: str, features: str) -> None:
        """Drop the projectors but for the summary of one space and the features of one."""
        remaining = {name: self.projectors[name] for name in self.projectors if name in (summary, features)}
        self.projectors = nn.ModuleDict(remaining)
        if summary != features:
            self.projectors[summary].features = self.dropped()
            self.projectors[features].summary = self.dropped()


class Projector(nn.Module):
    """The student's features in one space, by two small networks."""

    def __init__(self, student: StudentShape, hidden: int, space: SpaceShape, index: int) -> None:
        super().__init__()
        self.summary = mlp(student.pooled, hidden, space.summary)
        self.features = mlp(student.width_of(index), hidden, space.features)

    def forward(self, features: Features, position: int) -> SpaceFeatures:
        fmap, cls = features.maps[position], token_of(features, position)
        cells = self.features(fmap.flatten(2).transpose(1, 2))
        projected = cells.transpose(1, 2).unflatten(2, fmap.shape[2:])
        return SpaceFeatures(self.summary(features.pooled), projected, None if cls is None else self.features(cls))


def mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, out))
