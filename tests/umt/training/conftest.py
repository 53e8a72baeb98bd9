"""Tiny models and images for the training engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.data import Mixup
from torch import Tensor
from torch.utils.data import TensorDataset

from umt.backbones import create_backbone
from umt.training.batches import SeededViews
from umt.training.classifier import Classifier
from umt.training.drop_path import set_drop_path
from umt.training.engine import Recipe, RunContext, fit
from umt.training.param_groups import layer_decay_groups

# Without biases of the keys: their gradient is zero but for rounding, which AdamW blows up to full steps.
TINY_VIT = "timm:vit_tiny_patch16_224?pretrained=false&img_size=32&depth=2&embed_dim=24&num_heads=2&qkv_bias=false"
RECIPE = Recipe(
    epochs=2,
    batch=8,
    device_batch=8,
    lr=1e-2,
    warmup_epochs=0.5,
    weight_decay=0.05,
    betas=(0.9, 0.999),
    clip_norm=1.0,
    precision="fp32",
)


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")],
        ),
    ]
)
def device(request: pytest.FixtureRequest) -> str:
    """A device that the machine has."""
    return str(request.param)


@pytest.fixture
def recipe() -> Recipe:
    return RECIPE


@pytest.fixture
def images() -> TensorDataset:
    return picture_set()


def picture_set() -> TensorDataset:
    """24 images of 32x32 in three classes, told apart by their brightest channel."""
    labels = torch.arange(24) % 3
    pixels = torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.5
    pixels[torch.arange(24), labels] += 0.5
    return TensorDataset(pixels, labels)


def tiny_classifier(noisy: bool = False) -> Classifier:
    """A ViT of two blocks; `noisy` with everything that draws at random."""
    torch.manual_seed(0)
    model = Classifier(create_backbone(TINY_VIT), 3, mixing=Mixup(0.8, 1.0, num_classes=3) if noisy else None)
    set_drop_path(model.backbone, 0.5 if noisy else 0.0)
    return model


@pytest.fixture
def train(images: TensorDataset, tmp_path: Path) -> Callable[..., dict[str, Tensor]]:
    """Trains a tiny ViT and gives its weights; `noisy` with everything that draws at random, options go to `fit`.

    `dtype` float64 is for comparing two orders of summation: AdamW divides small gradients by their own size, and
    their rounding with them.
    """

    def run(
        recipe: Recipe,
        seed: int = 0,
        work_dir: Path | None = None,
        report: Callable[[int, int, str], None] = lambda *_: None,
        noisy: bool = False,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        **options: Any,
    ) -> dict[str, Tensor]:
        model = tiny_classifier(noisy).to(device, dtype)
        pixels, labels = images.tensors
        groups = layer_decay_groups(model.backbone, model.head, lr=recipe.lr, weight_decay=0.05, layer_decay=0.8)
        context = RunContext(torch.device(device), work_dir or tmp_path / "work", seed, report)
        views = SeededViews(TensorDataset(pixels.to(dtype), labels), seed)
        fit(model, groups, views, recipe, context, **options)
        return {name: value.cpu() for name, value in model.state_dict().items()}

    return run
