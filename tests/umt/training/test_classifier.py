"""The loss of the classifier against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.data import Mixup
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor

from umt.backbones import create_backbone
from umt.training.classifier import Classifier

BACKBONE = "timm:resnet10t?pretrained=false"


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 1])


def classifier(**options: object) -> Classifier:
    model = Classifier(create_backbone(BACKBONE), 3, **options).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(1))
    return model


def test_loss_is_cross_entropy_with_smoothing(batch: tuple[Tensor, Tensor]) -> None:
    model = classifier(smoothing=0.1)
    expected = LabelSmoothingCrossEntropy(0.1)(model(batch[0]), batch[1])
    torch.testing.assert_close(model(*batch, mode="loss")["loss"], expected)


def test_mixing_and_smoothing_equal_timms(batch: tuple[Tensor, Tensor]) -> None:
    images, labels = batch
    model = classifier(mixing=Mixup(0.8, 1.0, label_smoothing=0, num_classes=3), smoothing=0.1)
    np.random.seed(0)
    loss = model(images.clone(), labels, mode="loss")["loss"]
    np.random.seed(0)
    mixed, targets = Mixup(0.8, 1.0, label_smoothing=0.1, num_classes=3)(images.clone(), labels)
    torch.testing.assert_close(loss, SoftTargetCrossEntropy()(model.logits(mixed), targets))


def test_scores_are_near_zero_at_the_start(batch: tuple[Tensor, Tensor]) -> None:
    model = Classifier(create_backbone(BACKBONE), 3).eval()
    assert model(batch[0]).abs().max() < 0.01
    torch.testing.assert_close(model(*batch, mode="loss")["loss"], torch.tensor(3.0).log(), atol=0.01, rtol=0)
