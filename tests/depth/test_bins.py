"""The linear heads with bins against their formulas in NumPy and in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth.bins import LinearBinsHead, TokenBinsHead
from mmseg_configs.scope import mmseg_scope


def make_head(channels: int = 6, bins: int = 5) -> LinearBinsHead:
    with mmseg_scope(0):
        head = LinearBinsHead(channels, bins, 1e-3, 10.0, dropout_ratio=0.0, loss_decode={"type": "SigLoss"})
    torch.nn.init.normal_(head.conv_seg.weight)
    return head.eval()


def test_depth_is_the_mean_of_the_bins() -> None:
    head, fmap = make_head(), torch.randn(2, 6, 3, 4)
    head.norm.running_mean.normal_()
    mean, var = (value.numpy()[:, None, None] for value in (head.norm.running_mean, head.norm.running_var))
    normed = (fmap.numpy() - mean) / np.sqrt(var + 1e-5)
    weights = np.einsum("kc,bchw->bkhw", head.conv_seg.weight.detach().numpy()[..., 0, 0], normed)
    weights = np.maximum(weights + head.conv_seg.bias.detach().numpy()[:, None, None], 0) + 0.1
    centres = np.linspace(1e-3, 10.0, 5)
    expected = (weights * centres[:, None, None]).sum(axis=1) / weights.sum(axis=1)
    np.testing.assert_allclose(head([fmap]).detach().numpy()[:, 0], expected, rtol=1e-5)


def test_depth_stays_inside_of_the_bins() -> None:
    depth = make_head()([1e4 * torch.randn(2, 6, 8, 8)]).detach()
    assert depth.shape == (2, 1, 8, 8)
    assert 1e-3 <= float(depth.min()) < float(depth.max()) <= 10.0


def published(head: TokenBinsHead, inputs: list[list[torch.Tensor]], bins: int) -> torch.Tensor:
    """DINOv2's head in its own order: token beside each cell, four times the side, one convolution, bins."""
    cells = [torch.cat([fmap, token[:, :, None, None].expand_as(fmap)], dim=1) for fmap, token in inputs]
    size = [4 * side for side in cells[0].shape[2:]]
    enlarged = torch.cat([torch.nn.functional.interpolate(cell, size=size, mode="bilinear") for cell in cells], dim=1)
    weights = torch.nn.functional.conv2d(enlarged, head.conv_seg.weight, head.conv_seg.bias).relu() + 0.1
    centres = torch.linspace(1e-3, 80, bins, dtype=torch.float64)
    return torch.einsum("ikmn,k->imn", weights / weights.sum(dim=1, keepdim=True), centres)[:, None]


@pytest.mark.parametrize("sizes", [[(3, 5)], [(8, 6), (4, 3)]])
def test_tokens_stand_beside_cells_as_dinov2_published_it(sizes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    widths = [6, 4][: len(sizes)]
    with mmseg_scope(0):
        head = TokenBinsHead(widths, 256, 1e-3, 80.0, dropout_ratio=0.0, loss_decode={"type": "SigLoss"})
    initial = head.conv_seg.weight.std()
    head.init_weights()
    assert head.conv_seg.weight.std() == initial, "torch's own first weights"
    inputs = [[torch.randn(2, width, *size), torch.randn(2, width)] for width, size in zip(widths, sizes, strict=True)]
    found = head(inputs).detach()
    exact = published(head.double(), [[part.double() for part in pair] for pair in inputs], 256).detach()
    assert found.shape == (2, 1, 4 * sizes[0][0], 4 * sizes[0][1])
    assert exact.std() > 0.1, "metres"
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-4)
