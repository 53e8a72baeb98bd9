"""The table of docs/checkpoints.md names every layout that is recognised, and says how it was checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "checkpoints.md"
HEADING = "| layout | recognised from the file alone | checked | largest difference | to add |"
LAYOUTS = [
    "timm",
    "Lightning",
    "DDP",
    "torch.compile",
    "DeepSpeed",
    "torchvision",
    "ResNet",
    "ConvNeXt",
    "ViT",
    "Swin",
    "EfficientNet",
    "MobileNet",
    "RegNet",
    "model_ema",
    "MAE",
    "MoCo v2",
    "MoCo v3",
    "DINO",
    "iBOT",
    "MSN",
    "I-JEPA",
    "V-JEPA 2",
    "BEiT",
    "DeiT",
    "SwAV",
    "solo-learn",
    "SparK",
    "DINOv2",
    "DINOv3",
    "OpenAI CLIP",
    "open_clip",
    "SigLIP",
    "Perception Encoder",
    "EVA-02",
    "Hiera",
    "RADIO",
    "C-RADIO",
    "Proteus",
    "UNIC",
    "DUNE",
    "Theia",
    "mmpretrain",
    "MMSegmentation",
    "lightly-train",
    "Hugging Face ViT",
    "Hugging Face DINOv2",
    "Hugging Face CLIP",
    "Hugging Face SigLIP",
]


def rows() -> list[list[str]]:
    lines = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_has_a_row(name: str) -> None:
    assert any(re.search(rf"\b{re.escape(name)}", row[0]) for row in rows())


def test_every_row_says_how_it_was_checked_and_what_to_add() -> None:
    checks = re.compile(r"(authors' code|timm|torchvision|transformers|open_clip|MMSegmentation)\b")
    difference = re.compile(r"(below 1e-\d|\d\.\de-\d|0$)")
    assert len(rows()) > 30
    for row in rows():
        assert len(row) == 5, row
        assert checks.match(row[2]), row
        assert difference.match(row[3]), row
