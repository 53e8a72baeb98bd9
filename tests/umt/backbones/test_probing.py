"""Multiply-adds of a forward against published ones, closed forms, and another device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from umt.backbones import create_backbone
from umt.backbones.probing import counted


def test_a_vit_costs_what_timm_publishes() -> None:
    """17.58 G of ViT-B/16 at 224, its attention included; the classifier's 0.0008 are not in ours."""
    vit = create_backbone("timm:vit_base_patch16_224?pretrained=false").requires_grad_(False)
    assert counted(lambda: vit(torch.zeros(1, 3, 224, 224), maps=(-1,)))[1] == pytest.approx(17.58, abs=0.02)


@pytest.mark.parametrize("spec", ["timm:test_vit?pretrained=false", "open_clip:ViT-B-32?pretrained=false"])
def test_it_is_the_same_on_a_device_without_fused_kernels(spec: str) -> None:
    backbone = create_backbone(spec).requires_grad_(False)
    side = backbone.preprocess.size
    _, here = counted(lambda: backbone(torch.zeros(1, 3, side, side), maps=(-1,)))
    backbone.to("meta")
    _, there = counted(lambda: backbone(torch.zeros(1, 3, side, side, device="meta"), maps=(-1,)))
    assert here == pytest.approx(there, rel=1e-9)


def test_attention_is_two_products_and_four_projections() -> None:
    length, width = 10, 64
    layer = nn.MultiheadAttention(width, 4, batch_first=True).eval().requires_grad_(False)
    tokens = torch.zeros(1, length, width)
    _, found = counted(lambda: layer(tokens, tokens, tokens, need_weights=False))
    assert found * 1e9 == pytest.approx(4 * length * width**2 + 2 * length**2 * width)


def test_it_leaves_the_fast_path_as_it_was() -> None:
    counted(lambda: None)
    assert torch.backends.mha.get_fastpath_enabled()
