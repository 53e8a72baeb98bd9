"""UMT's spaces: projections, a learnable model token, and alternating cross-space and intra-space modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from umt.backbones.contract import Features
from umt.distill.recipe import InteractionSpec
from umt.distill.spaces.cnn_blocks import ConvBlock
from umt.distill.spaces.shapes import (
    Grid,
    SpaceFeatures,
    SpaceShape,
    StudentShape,
    from_end,
    needed_maps,
    resampled,
    token_of,
)
from umt.distill.spaces.vit_blocks import AttentionBlock
from umt.errors import unknown_name

POOLINGS = ("after", "before")
BLOCKS = ("auto", "cnn", "vit")


class InteractionModules(nn.Module):
    """Spaces of a student's last map (paper sections 3.2 to 3.4, equations 1 to 3).

    A state is [B, T, M, d + d_m]: T tokens (the class token first if there is one, then the cells of the map) of M
    spaces, features before model token. Cross-space modules see all M as channels, intra-space modules each alone.
    """

    def __init__(self, spec: InteractionSpec, student: StudentShape, spaces: Sequence[SpaceShape]) -> None:
        super().__init__()
        self.spaces = tuple(spaces)
        self.convolves = _convolves(spec, student)
        self.has_cls = student.has_cls and not self.convolves
        self.width = spec.width or student.width
        self.token_width = (spec.token_width or self.width) if spec.model_token else 0
        self.maps, self.project = self._projections(spec, student)
        self.model_token = nn.Parameter(torch.zeros(self.token_width)) if spec.model_token else None
        self.cross_space = nn.ModuleList(self._block(spec, len(spaces)) for _ in range(spec.rounds * spec.cross_space))
        self.intra_space = nn.ModuleList(self._block(spec, 1) for _ in range(spec.rounds * spec.intra_space))
        self.rounds = spec.rounds
        if spec.token_pooling not in POOLINGS:
            raise unknown_name("interaction.token_pooling", spec.token_pooling, POOLINGS)
        self.pools_after_head = spec.token_pooling == "after"
        self.computed: Sequence[int] = range(len(self.spaces))
        self._add_heads()
        self.apply(_initialise)
        if self.model_token is not None:
            nn.init.trunc_normal_(self.model_token, std=0.02)

    def forward(self, features: Features) -> dict[str, SpaceFeatures]:
        """Compute every space of a batch, by name."""
        last = features.maps[-1]
        grid: Grid = (last.shape[2], last.shape[3])
        state = self._enter([self._tokens(features, index, grid) for index in range(-len(self.maps), 0)])
        for index in range(self.rounds):
            if self.cross_space:
                state = self.cross_space[index](state.flatten(2), grid).view_as(state)
            if self.intra_space:
                state = _in_each_space(self.intra_space[index], state, grid)
        return self._leave(state, grid)

    def map_of_cells(self, name: str) -> int:
        """Return the student's map whose cells a space has: its last one, where the spaces meet."""
        return -1

    @property
    def about(self) -> str:
        """A line of text that describes the spaces."""
        size = f"{len(self.spaces)} spaces, width {self.width} + {self.token_width}"
        return f"{size}, {self.rounds} rounds of {'CNN' if self.convolves else 'ViT'} modules"

    def keep_only(self, summary: str, features: str) -> None:
        """Drop the heads but for the summary of one space and the features of one; all spaces still interact."""
        names = [space.name for space in self.spaces]
        self.computed = [index for index, name in enumerate(names) if name in (summary, features)]
        mapped = {features} if self.model_token is not None else {summary, features}
        for index, name in enumerate(names):
            if name not in mapped:
                self.feature_adapters[index] = nn.Identity()
            if self.model_token is not None and name != summary:
                self.summary_adapters[index] = nn.Identity()

    def _block(self, spec: InteractionSpec, spaces: int) -> nn.Module:
        if self.convolves:
            return ConvBlock(spaces, self.width, self.token_width, spec.groups)
        return AttentionBlock(spaces, self.width + self.token_width, spec.heads, spec.ffn_ratio)

    def _add_heads(self) -> None:
        """Add the shared head of the model token (paper A.3), and adapters if a teacher has another width."""
        widths = {space.summary for space in self.spaces}
        common = widths.pop() if len(widths) == 1 else self.width
        if self.model_token is not None:
            self.head = nn.Sequential(nn.LayerNorm(self.token_width), nn.Linear(self.token_width, common))
            self.summary_adapters = _adapters(common, [space.summary for space in self.spaces])
        self.feature_adapters = _adapters(self.width, [space.features for space in self.spaces])

    def _projections(self, spec: InteractionSpec, student: StudentShape) -> tuple[tuple[int, ...], nn.Module]:
        """Return the student's maps, and the projections of equation 1: all in one layer if they have the same map."""
        self.map_indices = [spec.map_of(space.name) for space in self.spaces]
        if set(self.map_indices) == {-1}:
            return (-1,), nn.Linear(student.width, len(self.spaces) * self.width)
        layers = nn.ModuleList(nn.Linear(student.width_of(index), self.width) for index in self.map_indices)
        return needed_maps(self.map_indices), layers

    def _tokens(self, features: Features, position: int, grid: Grid) -> Tensor:
        """Return a map's tokens [B, T, C] on the cells of the last map, the class token first if there is one."""
        tokens = resampled(features.maps[position], grid).flatten(2).transpose(1, 2)
        cls = token_of(features, position) if self.has_cls else None
        return tokens if cls is None else torch.cat([cls[:, None], tokens], dim=1)

    def _project(self, tokens: Sequence[Tensor]) -> Tensor:
        """Project the tokens [B, T, C] of each map into the spaces: [B, T, M, d]."""
        if isinstance(self.project, nn.ModuleList):
            tokens_of_spaces = [tokens[from_end(self.maps, index)] for index in self.map_indices]
            return torch.stack(
                [layer(value) for layer, value in zip(self.project, tokens_of_spaces, strict=True)], dim=2
            )
        projected: Tensor = self.project(tokens[0])
        return projected.unflatten(2, (len(self.spaces), self.width))

    def _enter(self, tokens: Sequence[Tensor]) -> Tensor:
        """Make the state [B, T, M, d + d_m] of the tokens [B, T, C] of each map."""
        state = self._project(tokens)
        if self.model_token is None:
            return state
        return torch.cat([state, self.model_token.expand(*state.shape[:3], -1).to(state.dtype)], dim=3)

    def _leave(self, state: Tensor, grid: Grid) -> dict[str, SpaceFeatures]:
        features, token = state.split([self.width, self.token_width], dim=3)
        summaries = self._summaries(token)
        spaces: dict[str, SpaceFeatures] = {}
        for index in self.computed:
            adapted = self.feature_adapters[index](features[:, :, index])
            fmap = adapted[:, int(self.has_cls) :].transpose(1, 2).unflatten(2, grid)
            spaces[self.spaces[index].name] = SpaceFeatures(
                summaries[index], fmap, adapted[:, 0] if self.has_cls else None
            )
        return spaces

    def _summaries(self, token: Tensor) -> Sequence[Tensor | None]:
        """Return the model token of each space, passed through the shared head and pooled over all tokens."""
        if self.model_token is None:
            return [None] * len(self.spaces)
        pooled = self.head(token).mean(dim=1) if self.pools_after_head else self.head(token.mean(dim=1))
        return [adapter(pooled[:, index]) for index, adapter in enumerate(self.summary_adapters)]


def _convolves(spec: InteractionSpec, student: StudentShape) -> bool:
    if spec.blocks not in BLOCKS:
        raise unknown_name("interaction.blocks", spec.blocks, BLOCKS)
    return spec.blocks == "cnn" or (spec.blocks == "auto" and not student.has_cls)


def _in_each_space(block: nn.Module, state: Tensor, grid: Grid) -> Tensor:
    """Run the shared `block` on [B M, T, d + d_m]."""
    batch, _, spaces, _ = state.shape
    by_space = state.transpose(1, 2).flatten(0, 1)
    return block(by_space, grid).unflatten(0, (batch, spaces)).transpose(1, 2)


def _adapters(width: int, target_widths: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Identity() if width == target_width else nn.Linear(width, target_width) for target_width in target_widths
    )


def _initialise(module: nn.Module) -> None:
    """Initialise the weights as ViT and ConvNeXt do."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
