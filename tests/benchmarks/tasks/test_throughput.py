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
    assert protocol_names("throughput") == [
        "bf16",
        "compiled",
        "fp32",
        "latency",
        "latency_bf16",
        "latency_compiled",
        "mini",
        "paper",
    ]


def test_latency_and_memory_of_one_image(make_job, make_dataset) -> None:  # type: ignore[no-untyped-def]
    """The memory grows with the batch, and holds the weights once."""
    dataset, spec = make_dataset("imagenet"), "timm:test_resnet?pretrained=false"
    one, four = (
        TASK.run(make_job("throughput", dataset, "latency", spec, resolution=96, batch=batch, forwards=3))
        for batch in (1, 4)
    )
    assert one.metrics["latency"] == pytest.approx(1000 * sorted(one.details["seconds"])[1])
    weights = 4 * one.metrics["parameters"]
    assert weights < one.metrics["memory"]
    assert four.metrics["memory"] - weights == pytest.approx(4 * (one.metrics["memory"] - weights), rel=0.05)


def test_the_compiler_is_timed_if_asked_for(make_job, make_dataset, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A stand-in for the compiler, which takes a minute, sees every forward but the two that count."""
    calls = []
    monkeypatch.setattr("torch.compile", lambda forward, dynamic: lambda: calls.append(forward()))
    job = make_job("throughput", make_dataset("imagenet"), "latency_compiled", "timm:test_resnet?pretrained=false")
    TASK.run(job)
    assert len(calls) == job.settings.warmup + job.settings.forwards


def test_a_model_that_hands_a_parameter_to_a_module(make_job, make_dataset) -> None:  # type: ignore[no-untyped-def]
    job = make_job("throughput", make_dataset("imagenet"), "mini", "timm:test_vit3?pretrained=false", batch=1)
    assert TASK.run(job).metrics["gmacs"] > 0
