"""Students through torch.hub, from this checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from umt.backbones import create_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.errors import UMTError

ROOT = str(Path(__file__).parents[1])


def test_a_student_comes_from_a_local_path(tmp_path: Path) -> None:
    student = create_backbone("timm:test_resnet?pretrained=false", seed=5)
    save_checkpoint(tmp_path / "student.pth", student)
    model = torch.hub.load(ROOT, "umt_student", source="local", checkpoint=str(tmp_path / "student.pth"))
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(images).pooled, student(images).pooled)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1)}, tmp_path / "plain.pth")
    with pytest.raises(UMTError, match="of no layout that is known"):
        torch.hub.load(ROOT, "umt_student", source="local", checkpoint=str(tmp_path / "plain.pth"))
