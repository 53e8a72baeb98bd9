"""Frozen features: values against timm's own transform and model, order, and errors."""

from __future__ import annotations

from pathlib import Path
from traceback import clear_frames

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from umt.backbones import Backbone, create_backbone
from umt.data.registry import Sample
from umt.errors import UMTError
from umt.features import eval_images, extract_features, run_over

SPEC = "timm:test_resnet?pretrained=false"
CPU = torch.device("cpu")


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    found = []
    for index in range(7):
        pixels = rng.integers(0, 256, (50 + index, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        found.append(Sample(tmp_path / f"{index}.png", index % 3))
    return found


@pytest.fixture
def backbone() -> Backbone:
    return create_backbone(SPEC)


def test_features_equal_timms_own_pipeline(samples: list[Sample], backbone: Backbone) -> None:
    """Within the rounding of pixels to 8 bits."""
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=0).eval()
    model.load_state_dict(backbone.model.state_dict())  # type: ignore[union-attr, operator]
    config = resolve_model_data_config(model)
    transform = create_transform((3, 32, 32), **{key: config[key] for key in ("mean", "std", "interpolation")})
    images = torch.stack([transform(Image.open(sample.image)) for sample in samples])
    with torch.no_grad():
        expected = model(images)
    features, labels = extract_features(backbone, samples, 32, CPU, 3, lambda *_: None, crop_pct=0.875)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert features.dtype == torch.float32
    assert not features.requires_grad


def test_a_training_backbone_is_evaluated_and_reports_progress(samples: list[Sample], backbone: Backbone) -> None:
    seen: list[tuple[int, int]] = []
    report = lambda done, total, text: seen.append((done, total))  # noqa: E731
    one, _ = extract_features(backbone.train(), samples, 32, CPU, 7, report)
    two, _ = extract_features(backbone.train(), samples, 32, CPU, 2, report)
    torch.testing.assert_close(one, two)  # batch statistics would tell batches apart
    assert seen == [(7, 7), (2, 7), (4, 7), (6, 7), (7, 7)]


def test_a_resolution_that_does_not_fit_names_the_next(samples: list[Sample], backbone: Backbone) -> None:
    with pytest.raises(UMTError, match="resolution 40 is not a multiple of 32, which this backbone needs; take 32"):
        extract_features(backbone, samples, 40, CPU, 4, lambda *_: None)


def test_features_that_are_not_finite_name_the_image(samples: list[Sample], backbone: Backbone) -> None:
    with torch.no_grad():
        next(backbone.parameters()).fill_(torch.nan)
    with pytest.raises(UMTError, match=r"0\.png: backbone 'timm:test_resnet.*' gives features that are not finite"):
        extract_features(backbone, samples, 32, CPU, 4, lambda *_: None)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_one_line_also_from_a_worker(
    samples: list[Sample], backbone: Backbone, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umt.features.worker_count", lambda images: workers)
    samples[4].image.write_bytes(b"no image")
    with pytest.raises(UMTError, match=r"^\S+4\.png: image cannot be decoded .*$") as caught:
        extract_features(backbone, samples, 32, CPU, 2, lambda *_: None)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__
    clear_frames(caught.value.__cause__.__traceback__)  # they hold the workers, which end slowly as garbage


def test_any_function_can_run_over_images(samples: list[Sample], backbone: Backbone) -> None:
    images = eval_images(samples, backbone.preprocess, 32, 1.0)
    means = run_over(images, lambda batch: batch.mean(dim=(1, 2, 3)), CPU, 2, lambda *_: None)
    torch.testing.assert_close(means, torch.stack([images[index][0].mean() for index in range(7)]))
