"""The linear head against its formula."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmseg_configs.head import LinearHead


@pytest.fixture(autouse=True)
def mmseg_scope() -> Iterator[None]:
    """Runners of other tests leave mmengine's own scope behind."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


def test_logits_are_an_affine_map_of_standardised_channels() -> None:
    torch.manual_seed(0)
    head = LinearHead(8, num_classes=5, dropout_ratio=0.0).eval()
    fmap = torch.randn(2, 8, 3, 4)
    head.norm.running_mean.normal_()
    head.norm.running_var.uniform_(0.5, 2.0)
    head.norm.weight.data.normal_()
    logits = head([torch.zeros(1), fmap])  # the last map is read

    norm = {name: value.double().numpy()[:, None, None] for name, value in head.norm.state_dict().items() if value.ndim}
    x = (fmap.double().numpy() - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
    x = x * norm["weight"] + norm["bias"]
    weight, bias = head.conv_seg.weight.detach().numpy()[..., 0, 0], head.conv_seg.bias.detach().numpy()
    expected = np.einsum("kc,bchw->bkhw", weight, x) + bias[:, None, None]
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_several_maps_are_laid_side_by_side_at_the_size_of_the_first() -> None:
    torch.manual_seed(0)
    head = LinearHead([8, 4], num_classes=5, dropout_ratio=0.0).eval()
    fine, coarse = torch.randn(2, 8, 6, 8), torch.randn(2, 4, 3, 4)
    enlarged = nn.functional.interpolate(coarse, size=(6, 8), mode="bilinear", align_corners=False)
    expected = head.conv_seg(head.norm(torch.cat([fine, enlarged], dim=1)))
    torch.testing.assert_close(head([fine, coarse]), expected)


def test_it_starts_as_radio_does() -> None:
    torch.manual_seed(0)
    head = LinearHead(512, num_classes=150)
    head.init_weights()
    assert abs(float(head.conv_seg.weight.detach().std()) - 0.01) < 2e-4
    assert not head.conv_seg.bias.detach().any()


@pytest.mark.parametrize("first", [False, True])
def test_dropout_stands_before_batchnorm_or_after_it(first: bool) -> None:
    """Before it as in DINOv3's head; what BatchNorm has seen tells."""
    torch.manual_seed(0)
    head = LinearHead(64, num_classes=5, dropout_ratio=0.5, dropout_first=first).train()
    fmap = torch.randn(16, 64, 3, 4)
    torch.manual_seed(1)
    logits = head([fmap])
    torch.manual_seed(1)
    dropped = nn.functional.dropout2d(fmap, 0.5) if first else fmap
    mean, variance = dropped.mean(dim=(0, 2, 3)), dropped.var(dim=(0, 2, 3))
    normed = (dropped - mean.view(-1, 1, 1)) / (dropped.var(dim=(0, 2, 3), correction=0) + 1e-5).sqrt().view(-1, 1, 1)
    expected = head.conv_seg(normed if first else nn.functional.dropout2d(normed, 0.5))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(head.norm.running_var, 0.9 + 0.1 * variance)
    assert (head.norm.running_var.mean() > 1.05) == first
