"""Propagation of labels from frame to frame by the similarity of patches, as DINO does (Caron et al. 2021)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_SIMILARITIES = 1 << 24  # of patches to context patches at a time; float32 takes 64 MB


@dataclass(frozen=True)
class Voting:
    """The patches that vote for the label of a patch."""

    frames: int  # before the frame, beside the first one
    neighbours: int  # the most similar patches; all of equal similarity vote, too
    window: int  # patches up, down, left and right that may vote; 0 for no bound
    temperature: float  # weight of a neighbour: exp(cosine similarity / temperature)


@dataclass
class Propagator:
    """The context of a video: its first frame and the last frames, with their labels.

    features: unit vectors [H, W, C] of each frame. labels: shares [H, W, K] of each label in its patches.
    """

    voting: Voting
    first: tuple[Tensor, Tensor]  # features and labels
    recent: deque[tuple[Tensor, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        self.recent = deque(maxlen=self.voting.frames)

    def step(self, features: Tensor) -> Tensor:
        """Return the labels [H, W, K] of the next frame; the frame joins the context."""
        context = [self.first, *self.recent]
        keys, shares = (torch.stack(parts) for parts in zip(*context, strict=True))
        labels = propagated(features, keys, shares, self.voting)
        self.recent.append((features, labels))
        return labels


def unit_features(fmap: Tensor) -> Tensor:
    """Return the unit vectors [H, W, C] of a map [C, H, W]."""
    return F.normalize(fmap, dim=0).permute(1, 2, 0).contiguous()


def propagated(queries: Tensor, keys: Tensor, shares: Tensor, voting: Voting) -> Tensor:
    """Return labels [H, W, K] of a frame's patches [H, W, C] by those of context frames [N, H, W, C], [N, H, W, K]."""
    frames, height, width = keys.shape[:3]
    rows = max(1, MAX_SIMILARITIES // (width * frames * height * width))
    parts = []
    for start in range(0, height, rows):
        block = slice(start, min(start + rows, height))
        near = _near(block, height, voting.window)
        outside = _outside(block, near, width, voting.window)
        part_keys, part_shares = (part[:, near].flatten(0, 2) for part in (keys, shares))
        similarities = queries[block].flatten(0, 1) @ part_keys.T
        if outside is not None:
            similarities.unflatten(1, (frames, -1)).masked_fill_(outside[:, None], -torch.inf)
        parts.append(_votes(similarities, part_shares, voting))
    return torch.cat(parts).unflatten(0, (height, width))


def _votes(similarities: Tensor, shares: Tensor, voting: Voting) -> Tensor:
    """Return the labels [Q, K] that the most similar of P context patches [Q, P] with labels [P, K] vote for."""
    best = similarities.topk(min(voting.neighbours, similarities.shape[1]), dim=1).values
    queries, patches = (similarities >= best[:, -1:]).nonzero(as_tuple=True)
    weights = ((similarities[queries, patches] - best[queries, 0]) / voting.temperature).exp()
    sums = shares.new_zeros((len(similarities), shares.shape[1] + 1))
    sums.index_add_(0, queries, weights[:, None] * F.pad(shares[patches], (0, 1), value=1.0))
    return sums[:, :-1] / sums[:, -1:]


def _near(block: slice, height: int, window: int) -> slice:
    """Return the rows of the context in which patches may vote for those of a block of rows."""
    return slice(max(0, block.start - window), min(height, block.stop + window)) if window else slice(0, height)


def _outside(block: slice, near: slice, width: int, window: int) -> Tensor | None:
    """Return true for patches [Q, P] of a context frame that lie out of the window of a patch; None for no bound."""
    if not window:
        return None
    rows = (torch.arange(block.start, block.stop)[:, None] - torch.arange(near.start, near.stop)).abs() > window
    columns = (torch.arange(width)[:, None] - torch.arange(width)).abs() > window
    return (rows[:, None, :, None] | columns[None, :, None, :]).flatten(2).flatten(0, 1)


def label_map(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the strongest label [h, w] of shares [H, W, K]: enlarged bilinearly, each label scaled to span 0 to 1."""
    enlarged = F.interpolate(labels.permute(2, 0, 1)[None], size=size, mode="bilinear")[0]
    low, high = (bound[:, None, None] for bound in (enlarged.amin(dim=(1, 2)), enlarged.amax(dim=(1, 2))))
    # a label that is equally strong everywhere wins, and one that is nowhere never does
    scaled = torch.where(high > low, (enlarged - low) / (high - low), torch.where(high > 0, torch.inf, 0.0))
    return scaled.argmax(dim=0)


def one_hot(objects: Tensor, count: int) -> Tensor:
    """Return the labels [H, W, K] of a mask [H, W] of the numbers of objects."""
    return F.one_hot(objects, count).float()
