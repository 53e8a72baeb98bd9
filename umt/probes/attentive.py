"""Probes that choose among the tokens of a map: an attention pool, BatchNorm without weights, and a linear classifier.

Every pool here is a weighted mean of the tokens for each of Q queries, of which a matrix of its own gives C / Q values.
The matrices are applied to the means: by linearity that equals the values of all tokens, at a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIRST_QUERY = 0.02  # deviation of the first queries
FIRST_WEIGHT = 0.01  # deviation of the first weights of the classifier
EPSILON = 1e-6  # of BatchNorm, as both publish it


class EfficientPool(nn.Module):
    """The efficient probe (Psomas et al. 2025): queries meet the tokens themselves, and values are one matrix."""

    def __init__(self, width: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(FIRST_QUERY * torch.randn(divisor(width, queries), width))
        self.value = nn.Linear(width, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Pool tokens [B, N, C] to [B, C]."""
        means = _means(self.queries * tokens.shape[2] ** -0.5, tokens)
        return _values(means, self.value.weight)


class AttentionPool(nn.Module):
    """The plain attention pool: a learnt query of several heads, with keys, values and an output projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = divisor(width, heads)
        self.query = nn.Parameter(FIRST_QUERY * torch.randn(width))
        self.key = nn.Linear(width, width, bias=False)  # a bias would move all similarities alike
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Pool tokens [B, N, C] to [B, C]."""
        queries = self.query.view(self.heads, -1) * (len(self.query) // self.heads) ** -0.5
        turned = torch.einsum("hd,hdc->hc", queries, self.key.weight.view(self.heads, queries.shape[1], -1))
        pooled: Tensor = self.out(_values(_means(turned, tokens), self.value.weight) + self.value.bias)
        return pooled


POOLS: dict[str, Callable[[int, int], nn.Module]] = {"efficient": EfficientPool, "attention": AttentionPool}


class AttentiveProbe(nn.Module):
    """A pool by its name in POOLS, with so many queries or heads, and a classifier."""

    def __init__(self, pool: str, width: int, queries: int, classes: int) -> None:
        super().__init__()
        self.pool = POOLS[pool](width, queries)
        self.norm = nn.BatchNorm1d(width, affine=False, eps=EPSILON)
        self.classifier = nn.Linear(width, classes)
        nn.init.normal_(self.classifier.weight, std=FIRST_WEIGHT)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, classes] of tokens [B, N, C]."""
        logits: Tensor = self.classifier(self.norm(self.pool(tokens)))
        return logits


def divisor(width: int, limit: int) -> int:
    """Return the largest number up to `limit` that divides the width: the queries or heads that it can be shared by."""
    return next(count for count in range(min(limit, width), 0, -1) if width % count == 0)


def _means(queries: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean of the tokens [B, N, C] that each query [Q, C] attends to, [B, Q, C]."""
    return F.softmax(tokens @ queries.T, dim=1).transpose(1, 2) @ tokens


def _values(means: Tensor, weight: Tensor) -> Tensor:
    """Apply to each mean [B, Q, C] its own rows of the matrix [C, C], and join the values to [B, C]."""
    rows = weight.view(means.shape[1], -1, weight.shape[1])
    return torch.einsum("bqc,qdc->bqd", means, rows).flatten(1)
