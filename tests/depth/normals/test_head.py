"""The loss of angles against its formula, and the head on maps of any strides."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.suite.protocols import load_protocol
from depth.normals.head import AngularLoss
from depth.normals.probe import NormalsSettings, build_model
from mmseg_configs.scope import mmseg_scope
from umt.backbones import create_backbone


def test_the_loss_is_its_formula_over_pixels_with_a_normal() -> None:
    rng = np.random.default_rng(0)
    pred, truth = rng.normal(size=(2, 4, 3, 5)), rng.normal(size=(2, 3, 3, 5))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    truth[0, :, 1] = 0
    terms = []
    for image, y, x in np.ndindex(2, 3, 5):
        if not truth[image, :, y, x].any():
            continue
        direction, raw = pred[image, :3, y, x], pred[image, 3, y, x]
        cosine = direction @ truth[image, :, y, x] / np.linalg.norm(direction)
        certainty = (raw if raw > 0 else math.exp(raw) - 1) + 1.01
        terms.append(
            math.log(1 + math.exp(-certainty * math.pi))
            - math.log(certainty**2 + 1)
            + certainty * math.acos(np.clip(cosine, -1 + 1e-4, 1 - 1e-4))
        )
    assert len(terms) == 25
    loss = AngularLoss()(torch.from_numpy(pred), torch.from_numpy(truth))
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-12)


def test_the_gradient_is_finite_where_nothing_is_known() -> None:
    pred = torch.zeros(1, 4, 2, 2, requires_grad=True)
    AngularLoss()(pred, torch.zeros(1, 3, 2, 2)).backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize("spec", ["timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"])
def test_it_predicts_four_channels(spec: str) -> None:
    settings = load_protocol("nyuv2_normals", "mini", NormalsSettings).settings
    with mmseg_scope(0):
        model = build_model(settings, create_backbone(spec)).eval()
    with torch.no_grad():
        maps = model.decode_head(model.backbone(torch.rand(1, 3, 96, 96)))
    assert maps.shape[:2] == (1, 4)
    assert not any(value.requires_grad for value in model.backbone.parameters())
