"""The published NumPy formulas of CKA, and backbones whose tokens are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from umt.backbones import Backbone, Features, Preprocess


class PublishedCka:
    """Gram form of the notebook that Kornblith et al. published with their paper, in float64."""

    def __call__(self, x: Tensor, y: Tensor, *, unbiased: bool = False) -> float:
        left, right = (self._centred(self._gram(values), unbiased) for values in (x, y))
        product = left.ravel().dot(right.ravel())
        return float(product / (np.linalg.norm(left) * np.linalg.norm(right)))

    def _gram(self, values: Tensor) -> np.ndarray:
        rows = values.double().numpy()
        return rows.dot(rows.T)

    def _centred(self, gram: np.ndarray, unbiased: bool) -> np.ndarray:
        gram = gram.copy()
        if unbiased:  # Szekely and Rizzo 2014
            n = gram.shape[0]
            np.fill_diagonal(gram, 0)
            means = np.sum(gram, 0, dtype=np.float64) / (n - 2)
            means -= np.sum(means) / (2 * (n - 1))
            gram -= means[:, None]
            gram -= means[None, :]
            np.fill_diagonal(gram, 0)
            return gram
        means = np.mean(gram, 0, dtype=np.float64)
        means -= np.mean(means) / 2
        gram -= means[:, None]
        gram -= means[None, :]
        return gram


@pytest.fixture(scope="session")
def published_cka() -> PublishedCka:
    return PublishedCka()


class Patches(Backbone):
    """Tokens are the mean colours of 8x8 patches, with a fourth channel; no token sees another patch."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(
            Preprocess(mean=(0.0,) * 3, std=(1.0,) * 3, size=32, size_multiple=8),  # type: ignore[arg-type]
            channels=[4, 4],
            strides=[8, 8],
            dim=4,
        )
        self.weight = torch.nn.Parameter(torch.full((1,), float("nan") if broken else 1.0))

    def extract(self, images: Tensor, maps: list[int]) -> Features:  # type: ignore[override]
        colours = torch.nn.functional.avg_pool2d(images, 8) * self.weight
        fmap = torch.cat([colours, colours.prod(dim=1, keepdim=True)], dim=1)
        return Features(fmap.mean(dim=(2, 3)), None, [fmap * (index + 1) for index in maps])


@pytest.fixture
def patches() -> Backbone:
    return Patches().eval()


@pytest.fixture
def broken() -> Backbone:
    backbone = Patches(broken=True).eval()
    backbone.spec = "broken"
    return backbone
