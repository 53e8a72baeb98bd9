"""The linear head with bins against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import torch

from depth.bins import LinearBinsHead
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
