"""Pictures of a map of tokens: three components as colours, cosines to the summary token, and its stability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.analysis.grids import resampled, tokens_of
from umt.analysis.pca import Components, principal_components
from umt.analysis.token_map import TokenMap

MAX_DISTANCE_QUANTILE = 0.99  # quantile of the distances from the mean beyond which a token is pulled in
DARKEST, BRIGHTEST = 0.01, 0.99  # quantiles of a component that become 0 and 1
TINY = 1e-12  # a component that nearly all tokens share is black


def colour_basis(maps: Sequence[TokenMap]) -> Components:
    """Return three components over all tokens of the maps.

    A few tokens of large norm (Darcet et al. 2024) would turn the basis to themselves: those farther from the mean than
    99 in 100 tokens are pulled in to that distance first.
    """
    return principal_components(pulled_in(torch.cat([tokens_of(token_map.fmap[None]) for token_map in maps])))


def pulled_in(tokens: Tensor) -> Tensor:
    """Move tokens [N, D] that lie too far from the mean towards it."""
    mean = tokens.mean(dim=0)
    offsets = tokens - mean
    distances = offsets.norm(dim=1, keepdim=True)
    limit = distances.flatten().quantile(MAX_DISTANCE_QUANTILE)
    return mean + offsets * (limit / distances.clamp(min=limit))


def colours(maps: Sequence[TokenMap], basis: Components) -> list[np.ndarray]:
    """Return RGB [H, W, 3] in [0, 1] of each map, components one to three as red, green and blue.

    Every component is scaled over all the maps together, from its 1st to its 99th percentile; values beyond are cut.
    """
    projected = [basis.project(tokens_of(token_map.fmap[None])) for token_map in maps]
    every = torch.cat(projected)
    low, high = every.quantile(DARKEST, dim=0), every.quantile(BRIGHTEST, dim=0)
    return [
        ((values - low) / (high - low).clamp(min=TINY)).clamp(0, 1).view(*token_map.fmap.shape[1:], 3).numpy()
        for values, token_map in zip(projected, maps, strict=True)
    ]


def cosine_map(token_map: TokenMap) -> np.ndarray:
    """Return the cosine between the summary token and every token, [H, W]."""
    cosines: np.ndarray = F.cosine_similarity(token_map.fmap, token_map.summary[:, None, None], dim=0).numpy()
    return cosines


def stability(low: TokenMap, high: TokenMap) -> dict[str, float]:
    """Return the mean cosine between the tokens of one image at two resolutions, the finer map on the coarser grid.

    It is given for the tokens as they are, and with the mean token of each map taken off; without that, maps that show
    nothing look stable.
    """
    first, second = low.fmap, resampled(high.fmap[None], (low.fmap.shape[1], low.fmap.shape[2]))[0]
    centred = [fmap - fmap.mean(dim=(1, 2), keepdim=True) for fmap in (first, second)]
    return {"cosine": _mean_cosine(first, second), "centred_cosine": _mean_cosine(*centred)}


def _mean_cosine(first: Tensor, second: Tensor) -> float:
    return float(F.cosine_similarity(first, second, dim=0).mean())
