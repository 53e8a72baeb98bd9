"""Trainings on a CPU and, with a GPU, on it: precisions, one process of a group, BatchNorm, resuming, compilation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.nn import SyncBatchNorm

from umt.backbones import create_backbone
from umt.training import parallel
from umt.training.classifier import Classifier
from umt.training.engine import Extras, Recipe
from umt.training.param_groups import layer_decay_groups

from .conftest import picture_set, tiny_classifier

Train = Callable[..., dict[str, Tensor]]


class InterruptedRunError(Exception):
    pass


@pytest.fixture
def group(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A group of one process, by NCCL on a GPU and by Gloo on a CPU, that is trained in as a larger one is."""
    backend = {"cuda": "nccl", "cpu": "gloo"}[device]
    distributed.init_process_group(backend, init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    monkeypatch.setattr(parallel, "get_dist_info", lambda: (0, 2))
    yield device
    distributed.destroy_process_group()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_trains_as_fp32_does(
    train: Train, recipe: Recipe, tmp_path: Path, device: str, precision: str
) -> None:
    if (device, precision) == ("cpu", "fp16"):
        pytest.skip("fp16 trains on GPUs only")
    losses: dict[str, float] = {}

    def report(done: int, total: int, text: str) -> None:
        losses[name] = float(text.split()[1].rstrip(","))

    for name in ("fp32", precision):
        weights = train(
            replace(recipe, epochs=20, precision=name), work_dir=tmp_path / name, device=device, report=report
        )
        assert all(value.dtype == torch.float32 and bool(value.isfinite().all()) for value in weights.values())
    assert max(losses.values()) < 0.1  # cross-entropy; 1.1 at the start


@pytest.mark.parametrize("way", parallel.PARALLEL)
def test_a_group_of_one_process_trains_as_one_process_does(
    train: Train, recipe: Recipe, tmp_path: Path, group: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = train(recipe, work_dir=tmp_path / "group", device=group, extras=Extras(parallel=way))
    monkeypatch.undo()
    alone = train(recipe, work_dir=tmp_path / "alone", device=group)
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=0, atol=1e-5)


def test_batchnorm_is_synchronised_on_gpus_only(group: str) -> None:
    """On a CPU it stays as it is, and the caller can say so."""
    torch.manual_seed(0)
    model = Classifier(create_backbone("timm:test_resnet?pretrained=false"), 3).to(group).train()
    pixels, labels = (values[:8].to(group) for values in picture_set().tensors)
    expected = model(pixels, labels, mode="loss")["loss"].item()
    groups = layer_decay_groups(model.backbone, model.head, lr=1e-3, weight_decay=0.05, layer_decay=0.8)
    assert parallel.unsynced_batchnorm(model) is (group == "cpu")
    with parallel.parallelize(model, groups, "ddp") as (wrapped, _):
        assert any(isinstance(module, SyncBatchNorm) for module in wrapped.modules()) is (group == "cuda")
        loss = wrapped(pixels, labels, mode="loss")["loss"]
        loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert model.head.weight.grad is not None


def test_a_resumed_run_is_the_run_itself(
    train: Train, recipe: Recipe, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)

    def interrupt(done: int, total: int, text: str) -> None:
        if done > total // 2:
            raise InterruptedRunError

    try:
        whole = train(recipe, work_dir=tmp_path / "whole", device=device, noisy=True)
        with pytest.raises(InterruptedRunError):
            train(
                recipe,
                work_dir=tmp_path / "cut",
                device=device,
                noisy=True,
                extras=Extras(save_seconds=0),
                report=interrupt,
            )
        resumed = train(recipe, work_dir=tmp_path / "cut", device=device, noisy=True)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_compiled_model_has_the_losses_and_gradients_of_an_eager_one(device: str) -> None:
    if device == "cpu":
        pytest.skip("it takes minutes on a CPU, where test_features.py compiles a forward")
    pixels, labels = (values[:8].to(device) for values in picture_set().tensors)
    gradients = []
    for compiled in (False, True):
        model = tiny_classifier().to(device).train()
        forward = torch.compile(model.logits, dynamic=False) if compiled else model.logits
        loss = torch.nn.functional.cross_entropy(forward(pixels), labels)
        loss.backward()
        gradients.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
    eager, other = gradients
    assert eager.keys() == other.keys()
    for name, value in eager.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)
