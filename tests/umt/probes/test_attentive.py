"""The pools against their published forms, which compute the values of all tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from umt.probes.attentive import AttentionPool, AttentiveProbe, EfficientPool, divisor


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(3, 49, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_efficient_pool_is_the_published_one(tokens: Tensor) -> None:
    """Values of all tokens, each query with its slice of the channels (Psomas et al. 2025, equations 5 to 7)."""
    pool = EfficientPool(24, queries=8).double()
    attention = (24**-0.5 * pool.queries @ tokens.transpose(1, 2)).softmax(dim=2)  # [B, Q, N]
    values = pool.value(tokens).reshape(3, 49, 8, 3)
    slices = [attention[:, query, None] @ values[:, :, query] for query in range(8)]
    torch.testing.assert_close(pool(tokens), torch.cat(slices, dim=2).squeeze(1))


def test_the_plain_pool_is_torchs_attention(tokens: Tensor) -> None:
    pool = AttentionPool(24, heads=4).double()
    peer = nn.MultiheadAttention(24, 4, batch_first=True).double()
    with torch.no_grad():
        peer.in_proj_weight.copy_(torch.cat([torch.eye(24), pool.key.weight, pool.value.weight]))
        peer.in_proj_bias.copy_(torch.cat([torch.zeros(24), torch.randn(24), pool.value.bias]))
        peer.out_proj.weight.copy_(pool.out.weight)
        peer.out_proj.bias.copy_(pool.out.bias)
    expected, _ = peer(pool.query.expand(3, 1, 24), tokens, tokens)
    torch.testing.assert_close(pool(tokens), expected.squeeze(1))


@pytest.mark.parametrize(("width", "limit", "expected"), [(384, 32, 32), (1280, 12, 10), (7, 32, 7), (13, 12, 1)])
def test_queries_divide_the_width(width: int, limit: int, expected: int) -> None:
    assert divisor(width, limit) == expected


@pytest.mark.parametrize("pool", ["efficient", "attention"])
def test_every_weight_is_trained(tokens: Tensor, pool: str) -> None:
    probe = AttentiveProbe(pool, 24, 8, classes=5).double()
    probe(tokens).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in probe.parameters())
