"""Fixtures of the tests of layouts."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from umt.backbones import Backbone, create_backbone
from umt.backbones.build_record import BuildRecord, recorded


@pytest.fixture
def loaded(tmp_path: Path, planned: Callable[[str], Backbone]) -> Callable[..., Backbone]:
    """The backbone of a file with this content, of which nothing but the file is named."""

    def load(content: object, options: str = "") -> Backbone:
        torch.save(content, tmp_path / "w.pth")
        return planned(f"{tmp_path}/w.pth{options}")

    return load


@pytest.fixture
def planned() -> Callable[[str], Backbone]:
    """The backbone of a job whose plan has built it before: both must be the same, and the job looks for nothing."""
    return build_as_planned


def build_as_planned(name: str) -> Backbone:
    plan = BuildRecord()
    with recorded(plan):
        first = create_backbone(name)
    job = BuildRecord(pickle.loads(pickle.dumps(plan.entries)))
    with recorded(job):
        backbone = create_backbone(name)
    assert job.position == len(plan.entries) >= 2  # the file and its shapes, of some at other sizes, too
    for fact in ("channels", "strides", "has_cls", "preprocess", "recognised", "load_report", "notes", "built_as"):
        assert getattr(backbone, fact) == getattr(first, fact)
    assert backbone.weights_hash() == first.weights_hash()
    return backbone
