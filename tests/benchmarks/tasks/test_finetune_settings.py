"""Fine-tuning protocols: what the published ones say, and what a file with a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.finetune_settings import FinetuneSettings
from umt.errors import UMTError


@pytest.mark.parametrize(
    ("name", "epochs", "base_lr", "layer_decay", "drop_path"),
    [("mae", 100, 5e-4, 0.65, 0.1), ("mae_large", 50, 1e-3, 0.75, 0.2)],
)
def test_maes_recipes(name: str, epochs: int, base_lr: float, layer_decay: float, drop_path: float) -> None:
    """He et al. 2022, table 9, and the commands that their code was released with."""
    settings = load_protocol("imagenet_finetune", name, FinetuneSettings).settings
    assert (settings.epochs, settings.batch, settings.warmup_epochs) == (epochs, 1024, 5)
    assert settings.lr == pytest.approx(base_lr * 1024 / 256)
    assert (settings.layer_decay, settings.drop_path) == (layer_decay, drop_path)
    assert (settings.betas, settings.weight_decay, settings.clip_norm) == ((0.9, 0.999), 0.05, None)
    assert (settings.mixup, settings.cutmix, settings.smoothing, settings.reprob) == (0.8, 1.0, 0.1, 0.25)
    assert (settings.auto_augment, settings.scale, settings.hflip) == ("rand-m9-mstd0.5-inc1", (0.08, 1.0), 0.5)
    assert (settings.resolution, settings.crop_pct, settings.ema) == (224, 224 / 256, None)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("lr: -1.0", "lr is -1.0, expected more than 0"),
        ("lr: .nan", "lr.* is nan, expected a finite float"),
        ("epochs: 0", "epochs is 0.0, expected more than 0"),
        ("clip_norm: 0.0", "clip_norm is 0.0, expected more than 0"),
        ("weight_decay: -0.1", "weight_decay is -0.1, expected 0 or more"),
        ("betas: [0.9, 1.0]", r"betas is \(0.9, 1.0\), expected two numbers from 0 to below 1"),
        ("precision: half", "unknown precision 'half'"),
        ("warmup_epochs: 10", "warmup_epochs 10.0 must be less than epochs 10.0"),
        ("device_batch: 100", "batch 512 is not a multiple of device_batch 100"),
        ("device_batch: 1", "device_batch 1 is odd; mixup and cutmix pair images"),
        ("layer_decay: 1.2", "layer_decay is 1.2, expected 0 to 1"),
        ("drop_path: -0.1", "drop_path is -0.1, expected 0 to 1"),
        ("crop_pct: 0", "crop_pct is 0.0, expected more than 0"),
        ("resolution: 0", "resolution is 0, expected at least one pixel"),
        ("scale: [1.0, 0.2]", r"scale is \(1.0, 0.2\), expected two rising shares up to 1"),
        ("mixup: -1", "mixup is -1.0, expected 0 or more"),
        ("ema: 1.0", "ema 1.0: take a decay between 0 and 1"),
        ("train_per_class: 0", "train_per_class is 0, expected 1 or more, or null"),
        ("auto_augment: random-m9", "auto_augment is 'random-m9', which timm does not know"),
        ("auto_augment: rand-m9-x5", "auto_augment is 'rand-m9-x5', which timm does not know"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_its_file(tmp_path: Path, field: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"version: 1\nabout: test\nextends: paper\n{field}\n")
    with pytest.raises(UMTError, match=rf"mine\.yaml: .*{message}"):
        load_protocol("imagenet_finetune", str(path), FinetuneSettings)
