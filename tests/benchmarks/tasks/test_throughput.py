"""Costs of a forward against what is known of the architecture."""

from __future__ import annotations

import pytest
import timm

from benchmarks.suite.protocols import protocol_names
from benchmarks.tasks.throughput import TASK


def test_known_models_cost_what_is_published(make_job, make_dataset) -> None:  # type: ignore[no-untyped-def]
    """ResNet-50 without its classifier: 25.557 M - 2.049 M parameters, 4.09 G multiply-adds at 224 (timm's table)."""
    job = make_job(
        "throughput", make_dataset("imagenet"), "mini", "timm:resnet50?pretrained=false", resolution=224, batch=1
    )
    outcome = TASK.run(job)
    assert outcome.metrics["parameters"] == pytest.approx(25.557 - 2.049, abs=1e-3)
    assert outcome.metrics["gmacs"] == pytest.approx(4.09, abs=0.02)
    assert outcome.metrics["images_per_second"] == pytest.approx(1 / min(outcome.details["seconds"]))


def test_the_resolution_grows_to_what_the_backbone_takes(make_job, make_dataset) -> None:  # type: ignore[no-untyped-def]
    job = make_job(
        "throughput", make_dataset("imagenet"), "mini", "timm:test_vit?pretrained=false", resolution=33, batch=2
    )
    outcome = TASK.run(job)
    assert outcome.details["resolution"] == 48
    own = timm.create_model("test_vit", num_classes=0)
    assert outcome.metrics["parameters"] == pytest.approx(sum(value.numel() for value in own.parameters()) / 1e6)


def test_protocols() -> None:
    assert protocol_names("throughput") == ["mini", "paper"]


def test_a_model_that_hands_a_parameter_to_a_module(make_job, make_dataset) -> None:  # type: ignore[no-untyped-def]
    job = make_job("throughput", make_dataset("imagenet"), "mini", "timm:test_vit3?pretrained=false", batch=1)
    assert TASK.run(job).metrics["gmacs"] > 0
