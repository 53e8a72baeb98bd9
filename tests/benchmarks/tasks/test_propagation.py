"""Propagation of labels against the published formula, written out patch by patch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.tasks import propagation
from benchmarks.tasks.propagation import Propagator, Voting, label_map, one_hot, propagated, unit_features

HEIGHT, WIDTH, CHANNELS = 5, 7, 6


def reference(queries: np.ndarray, keys: np.ndarray, shares: np.ndarray, voting: Voting) -> np.ndarray:
    """DINO's affinity, top k and normalisation for each patch alone."""
    out = np.zeros((*queries.shape[:2], shares.shape[-1]))
    for y in range(queries.shape[0]):
        for x in range(queries.shape[1]):
            affinities = {}
            for frame, v, u in np.ndindex(*keys.shape[:3]):
                inside = not voting.window or max(abs(v - y), abs(u - x)) <= voting.window
                similarity = queries[y, x] @ keys[frame, v, u]
                affinities[frame, v, u] = np.exp(similarity / voting.temperature) if inside else 0.0
            least = sorted(affinities.values())[-voting.neighbours]
            kept = {patch: value for patch, value in affinities.items() if value >= least - 1e-12}
            for patch, value in kept.items():
                out[y, x] += value * shares[patch] / sum(kept.values())
    return out


@pytest.fixture
def context() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    maps = torch.randn(4, CHANNELS, HEIGHT, WIDTH, generator=rng)
    queries, *keys = (unit_features(fmap) for fmap in maps)
    shares = torch.softmax(torch.randn(3, HEIGHT, WIDTH, 3, generator=rng), dim=-1)
    return queries, torch.stack(keys), shares


@pytest.mark.parametrize("voting", [Voting(7, 5, 2, 0.1), Voting(7, 5, 0, 0.07), Voting(7, 60, 1, 0.1)])
@pytest.mark.parametrize("most", [1 << 24, 300])
def test_it_equals_the_formula(
    context: tuple[torch.Tensor, ...], voting: Voting, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in blocks of rows, and if fewer patches are in the window than may vote."""
    monkeypatch.setattr(propagation, "MAX_SIMILARITIES", most)
    expected = reference(*(part.double().numpy() for part in context), voting)
    np.testing.assert_allclose(propagated(*context, voting).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_patches_of_equal_similarity_all_vote() -> None:
    """An image that does not move has each patch in every frame: as many equals as frames."""
    still = unit_features(torch.eye(4).reshape(4, 2, 2))
    labels = torch.eye(4).reshape(4, 2, 2, 1)
    keys = still.expand(4, -1, -1, -1)
    votes = propagated(still, keys, labels, Voting(7, 2, 0, 0.1))
    np.testing.assert_allclose(votes.numpy(), np.full((2, 2, 1), 0.25), rtol=1e-6)


def test_the_context_is_the_first_frame_and_the_last_ones() -> None:
    maps = torch.eye(6).reshape(6, 6, 1, 1)  # six frames that are not similar at all
    propagator = Propagator(Voting(2, 1, 0, 0.1), (unit_features(maps[0]), torch.tensor([[[1.0, 0.0]]])))
    for fmap in maps[1:4]:
        propagator.step(unit_features(fmap))
    assert len(propagator.recent) == 2
    torch.testing.assert_close(propagator.recent[-1][0], unit_features(maps[3]))
    torch.testing.assert_close(propagator.step(unit_features(maps[0])), torch.tensor([[[1.0, 0.0]]]))


def test_labels_are_enlarged_and_scaled() -> None:
    labels = torch.zeros(2, 2, 3)
    labels[..., 0] = torch.tensor([[0.9, 0.8], [0.8, 0.7]])
    labels[..., 1] = torch.tensor([[0.1, 0.2], [0.2, 0.3]])
    mask = label_map(labels, (4, 4))
    assert mask[0, 0] == 0
    assert mask[-1, -1] == 1  # a third of the votes is the most that object 1 has anywhere
    assert label_map(one_hot(torch.zeros(2, 2, dtype=torch.long), 3), (4, 4)).tolist() == [[0] * 4] * 4
