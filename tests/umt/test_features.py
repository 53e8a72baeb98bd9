"""Frozen features: values against timm's own transform and model, order, and errors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from umt.backbones import Backbone, create_backbone
from umt.data.contract import Sample
from umt.errors import UMTError
from umt.features import Extraction, each_features, eval_images, part_of, run_over

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


def extract(
    backbone: Backbone,
    samples: list[Sample],
    resolution: int,
    batch: int,
    progress: Any = lambda *_: None,
    **options: Any,
) -> torch.Tensor:
    batches: list[torch.Tensor] = []
    extraction = Extraction(resolution, **options)
    each_features(backbone, samples, extraction, [extraction.what], CPU, batch, progress, batches.extend)
    return torch.cat(batches)


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
    features = extract(backbone, samples, 32, 3, crop_pct=0.875)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)
    assert features.dtype == torch.float32
    assert not features.requires_grad


def test_a_training_backbone_is_evaluated_and_reports_progress(samples: list[Sample], backbone: Backbone) -> None:
    seen: list[tuple[int, int]] = []
    report = lambda done, total, text: seen.append((done, total))  # noqa: E731
    one = extract(backbone.train(), samples, 32, 7, report)
    two = extract(backbone.train(), samples, 32, 2, report)
    torch.testing.assert_close(one, two)  # batch statistics would tell batches apart
    assert seen == [(7, 7), (2, 7), (4, 7), (6, 7), (7, 7)]


def test_a_resolution_that_does_not_fit_names_the_next(samples: list[Sample], backbone: Backbone) -> None:
    with pytest.raises(UMTError, match="resolution 40 is not a multiple of 32, which this backbone needs; take 32"):
        extract(backbone, samples, 40, 4)


def test_features_that_are_not_finite_name_the_image(samples: list[Sample], backbone: Backbone) -> None:
    with torch.no_grad():
        next(backbone.parameters()).fill_(torch.nan)
    with pytest.raises(UMTError, match=r"0\.png: backbone 'timm:test_resnet.*' gives features that are not finite"):
        extract(backbone, samples, 32, 4)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_broken_image_is_one_line_from_any_thread(
    samples: list[Sample], backbone: Backbone, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umt.features.decoding_threads", lambda device: threads)
    samples[4].image.write_bytes(b"no image")
    with pytest.raises(UMTError, match=r"^\S+4\.png: image cannot be decoded .*$") as caught:
        extract(backbone, samples, 32, 2)
    assert "\n" not in str(caught.value)


def test_any_function_can_run_over_images(samples: list[Sample], backbone: Backbone) -> None:
    images = eval_images(samples, backbone.preprocess, 32, 1.0)
    means = run_over(images, lambda batch: batch.mean(dim=(1, 2, 3)), CPU, 2, lambda *_: None)
    torch.testing.assert_close(means, torch.stack([images[index][0].float().mean() / 255 for index in range(7)]))


@pytest.mark.parametrize("spec", [SPEC, "timm:test_vit?pretrained=false"])
@pytest.mark.parametrize("what", ["pooled", "map:-1", "map:0", "mean:1", "summary:1"])
def test_parts_are_those_of_a_forward(samples: list[Sample], spec: str, what: str) -> None:
    backbone = create_backbone(spec)
    found = extract(backbone, samples, 160, 4, what=what)
    images = eval_images(samples, backbone.preprocess, 160)
    with torch.no_grad():
        whole = backbone(torch.stack([images[index][0] / 255 for index in range(7)]))
    expected = {
        "pooled": whole.pooled,
        "map:-1": whole.maps[-1],
        "map:0": whole.maps[0],
        "mean:1": whole.maps[1].flatten(2).mean(dim=2),
        "summary:1": whole.summary(1),
    }
    torch.testing.assert_close(found, expected[what], rtol=1e-4, atol=1e-4)
    assert found.shape[1:] == part_of(backbone, Extraction(160, what=what)).shape


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("maps", r"unknown part of the features 'maps'\..* Known: map:INDEX, mean:INDEX, pooled, summary:INDEX"),
        ("map:last", "unknown part of the features 'map:last'"),
        ("map:99", "map:99: backbone 'timm:test_resnet.*' has the maps 0 to"),
    ],
)
def test_a_part_that_is_not_there_is_named(backbone: Backbone, what: str, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        part_of(backbone, Extraction(32, what=what))


def test_bf16_is_near_fp32_and_not_it(samples: list[Sample], backbone: Backbone) -> None:
    exact = extract(backbone, samples, 32, 4)
    near = extract(backbone, samples, 32, 4, precision="bf16")
    assert near.dtype == torch.float32
    assert not torch.equal(near, exact)
    assert torch.cosine_similarity(near, exact).min() > 0.999
    assert not torch.is_autocast_enabled("cpu")


def test_an_unknown_precision_is_named(samples: list[Sample], backbone: Backbone) -> None:
    with pytest.raises(UMTError, match="unknown precision 'int8'"):
        extract(backbone, samples, 32, 4, precision="int8")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_features_equal_eager_ones(samples: list[Sample], backbone: Backbone) -> None:
    """Also those of the last batch, which is filled up."""
    eager = extract(backbone, samples, 32, 4)
    compiled = extract(backbone, samples, 32, 4, compiled=True)
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
