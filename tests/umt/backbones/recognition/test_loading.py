"""A recognised checkpoint as a backbone: it keeps the contract, and can be a student like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from umt.backbones import create_backbone
from umt.backbones.check import check_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.errors import TrustError, UMTError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """MAE's pretraining of a tiny ViT, whose feature is the class token."""
    torch.manual_seed(0)
    small = {"num_classes": 0, "img_size": 64, "embed_dim": 64, "num_heads": 1, "depth": 2}
    state = timm.create_model("vit_base_patch16_224", **small).state_dict()
    rest = {"mask_token": torch.zeros(1), "decoder_embed.weight": torch.zeros(1)}
    torch.save({"model": {**state, **rest}}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def failed(name: str) -> list[str]:
    return [
        f"{finding.name}: {finding.problem}" for finding in check_backbone(create_backbone(name)) if finding.problem
    ]


@pytest.mark.parametrize("pool", ["", "?pool=cls", "?pool=mean"])
def test_every_pooling_keeps_the_contract(file: Path, pool: str) -> None:
    assert failed(f"{file}{pool}") == []


def test_pooling_is_what_it_says(file: Path) -> None:
    images = torch.rand(2, 3, 64, 96)
    mean = create_backbone(f"{file}?pool=mean")
    features = mean(images, maps=[0, 1])
    torch.testing.assert_close(features.pooled, features.maps[1].mean(dim=(2, 3)))
    torch.testing.assert_close(mean(images, maps=()).pooled, features.pooled)
    own = create_backbone(str(file))(images)
    torch.testing.assert_close(own.pooled, own.cls)


def test_image_options_belong_to_every_name(file: Path) -> None:
    options = "mean=0.4&std=[0.1, 0.2, 0.3]&interpolation=lanczos&crop_pct=0.9&size=96"
    for name in (f"{file}?", "timm:test_vit?pretrained=false&", "timm:test_resnet?pretrained=false&"):
        preprocess = create_backbone(name + options).preprocess
        assert (preprocess.mean, preprocess.std) == ((0.4,) * 3, (0.1, 0.2, 0.3))
        assert (preprocess.interpolation, preprocess.crop_pct, preprocess.size) == ("lanczos", 0.9, 96)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("interpolation=cubic", "interpolation takes one of nearest, box"),
        ("crop_pct=2", r"crop_pct takes a share from 0\.1 to 1, not '2'"),
        ("pool=max", "pool takes cls or mean for this model, not 'max'"),
    ],
)
def test_wrong_image_options_are_one_line(file: Path, option: str, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        create_backbone(f"{file}?{option}")


def test_pool_of_a_model_without_class_token() -> None:
    with pytest.raises(UMTError, match="pool takes mean for this model, not 'cls'"):
        create_backbone("timm:test_resnet?pretrained=false&pool=cls")


def test_a_recognised_model_can_be_a_student(file: Path, tmp_path: Path) -> None:
    backbone = create_backbone(str(file))
    save_checkpoint(tmp_path / "student.pth", backbone)
    again = create_backbone(f"{tmp_path}/student.pth")
    assert again.weights_hash() == backbone.weights_hash()
    assert again.preprocess == backbone.preprocess


def test_options_of_a_file_are_those_that_are_listed(file: Path) -> None:
    with pytest.raises(TrustError, match="option 'checkpoint_path' is not among those"):
        create_backbone(f"{file}?checkpoint_path={file}")


def test_heads_belong_to_umt_checkpoints(file: Path) -> None:
    with pytest.raises(UMTError, match=r"w\.pth#dino': only UMT checkpoints have spaces; leave out '#dino'"):
        create_backbone(f"{file}#dino")
