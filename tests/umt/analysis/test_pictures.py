"""Colours, cosines and stability of token maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from umt.analysis.pictures import colour_basis, colours, cosine_map, pulled_in, stability
from umt.analysis.token_map import TokenMap


def random_map(side: int = 16, width: int = 12, seed: int = 0) -> TokenMap:
    generator = torch.Generator().manual_seed(seed)
    scales = torch.arange(width, 0, -1).view(-1, 1, 1) ** 2
    fmap = torch.randn(width, side, side, generator=generator) * scales
    return TokenMap(fmap, fmap.mean(dim=(1, 2)), "mean of the map", 8 * side, 1)


def test_an_outlier_does_not_turn_the_basis() -> None:
    """Without the pull the first axis points at one token of large norm."""
    clean, spoilt = random_map(), random_map()
    spoilt.fmap[-1, 3, 3] = 1e5
    before, after = (colour_basis([one]).axes for one in (clean, spoilt))
    assert float((before[0] @ after[0]).abs()) > 0.9


def test_only_far_tokens_are_pulled_in() -> None:
    tokens = torch.randn(1000, 6, generator=torch.Generator().manual_seed(0))
    pulled = pulled_in(tokens)
    moved = (pulled - tokens).norm(dim=1) > 1e-5
    distances = (tokens - tokens.mean(dim=0)).norm(dim=1)
    assert int(moved.sum()) == 10
    assert distances[moved].min() > distances[~moved].max()
    new = (pulled - tokens.mean(dim=0)).norm(dim=1)
    assert float(new[moved].std()) < 1e-4


def test_colours_fill_the_range_and_share_one_scale() -> None:
    maps = [random_map(seed=0), random_map(seed=1)]
    pictures = colours(maps, colour_basis(maps))
    both = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    assert [picture.shape for picture in pictures] == [(16, 16, 3)] * 2
    assert (both.min(axis=0) == 0).all()
    assert (both.max(axis=0) == 1).all()
    assert ((both == 0) | (both == 1)).mean() == pytest.approx(0.02, abs=0.01)


def test_the_same_maps_give_the_same_colours() -> None:
    one = random_map()
    np.testing.assert_array_equal(colours([one], colour_basis([one]))[0], colours([one], colour_basis([one]))[0])


def test_cosines_equal_numpys() -> None:
    one = random_map(side=5)
    tokens, summary = one.fmap.flatten(1).numpy().T, one.summary.numpy()
    expected = tokens @ summary / (np.linalg.norm(tokens, axis=1) * np.linalg.norm(summary))
    np.testing.assert_allclose(cosine_map(one).ravel(), expected, rtol=1e-5)


def test_a_map_and_its_enlargement_are_stable_and_unrelated_maps_are_not() -> None:
    low = random_map(side=8)
    enlarged = TokenMap(low.fmap.repeat_interleave(2, 1).repeat_interleave(2, 2), low.summary, low.summary_is, 128, 1)
    found = stability(low, enlarged)
    assert found["cosine"] > 0.9
    assert found["centred_cosine"] > 0.9
    assert stability(low, low) == pytest.approx({"cosine": 1, "centred_cosine": 1}, abs=1e-6)
    assert abs(stability(low, random_map(side=8, seed=5))["centred_cosine"]) < 0.2


def test_a_common_offset_does_not_look_stable_once_centred() -> None:
    one, other = random_map(seed=1), random_map(seed=2)
    for each in (one, other):
        each.fmap.add_(1e4)
    assert stability(one, other)["cosine"] > 0.99
    assert abs(stability(one, other)["centred_cosine"]) < 0.2
