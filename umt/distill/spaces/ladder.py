"""A ladder of projectors: a small network on every map of the student, their outputs added.

Source: UNIC (Sariyildiz et al. 2024). It shortens the way of the gradient to early blocks. UNIC drops its ladder after
training; here it is a head like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from umt.backbones.contract import Features
from umt.distill.recipe import InteractionSpec
from umt.distill.spaces.projectors import Projectors, mlp
from umt.distill.spaces.shapes import Grid, SpaceFeatures, SpaceShape, StudentShape, resampled, token_of
from umt.errors import DeclarationError


class Added(nn.ModuleList):
    """Networks whose outputs are added; without any, the last value passes."""

    def forward(self, values: Sequence[Tensor]) -> Tensor:
        if not len(self):
            return values[-1]
        return torch.stack([network(value) for network, value in zip(self, values, strict=True)]).sum(dim=0)


class Ladder(Projectors):
    """Projectors on all maps; cells are those of the last map, onto which the others are resampled."""

    dropped = Added

    def __init__(self, spec: InteractionSpec, student: StudentShape, spaces: Sequence[SpaceShape]) -> None:
        if spec.maps:
            raise DeclarationError("interaction.maps: a ladder is made of all maps; leave it out, or take projectors")
        super().__init__(spec, student, spaces)
        self.maps = tuple(range(-len(student.widths), 0))
        hidden = spec.width or student.width
        self.projectors = nn.ModuleDict({space.name: Rungs(student, hidden, space) for space in spaces})


class Rungs(nn.Module):
    """The rungs of one space."""

    def __init__(self, student: StudentShape, hidden: int, space: SpaceShape) -> None:
        super().__init__()
        pooled = (*student.widths[:-1], student.pooled)
        self.summary = Added(mlp(width, hidden, space.summary) for width in pooled)
        self.features = Added(mlp(width, hidden, space.features) for width in student.widths)

    def forward(self, features: Features, position: int) -> SpaceFeatures:
        last = features.maps[position]
        grid: Grid = (last.shape[2], last.shape[3])
        cells = self.features([resampled(fmap, grid).flatten(2).transpose(1, 2) for fmap in features.maps])
        tokens = [token_of(features, index) for index in range(-len(features.maps), 0)]
        given_tokens = [token for token in tokens if token is not None]
        summaries = [features.summary(index) for index in range(len(features.maps) - 1)]
        return SpaceFeatures(
            self.summary([*summaries, features.pooled]),
            cells.transpose(1, 2).unflatten(2, grid),
            self.features(given_tokens) if given_tokens else None,
        )
