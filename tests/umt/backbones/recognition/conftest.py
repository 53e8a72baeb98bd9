"""Fixtures of the tests of layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from umt.backbones import Backbone, create_backbone


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Backbone]:
    """The backbone of a file with this content, of which nothing but the file is named."""

    def load(content: object, options: str = "") -> Backbone:
        torch.save(content, tmp_path / "w.pth")
        return create_backbone(f"{tmp_path}/w.pth{options}")

    return load
