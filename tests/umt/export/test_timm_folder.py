"""timm itself loads what is written, and a folder that gives something else is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor

from umt.backbones import Backbone, Features, create_backbone
from umt.errors import UMTError
from umt.export.timm_folder import write_timm_folder

SPECS = ["timm:test_resnet?pretrained=false&mean=0.4", "timm:test_vit?pretrained=false&img_size=64&depth=2&size=64"]


@pytest.mark.parametrize("spec", SPECS)
def test_timm_gives_the_features_of_the_backbone(spec: str, tmp_path: Path) -> None:
    backbone = create_backbone(spec, seed=3)
    exported = write_timm_folder(backbone, tmp_path)
    assert exported.limit is None
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    images = torch.rand(2, 3, 128, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = backbone(images), model((images - backbone.mean) / backbone.std)
        maps = model.forward_intermediates((images - backbone.mean) / backbone.std, intermediates_only=True, norm=True)
    assert torch.allclose(ours.pooled, theirs, rtol=1e-5, atol=1e-6)
    assert torch.allclose(ours.maps[-1], maps[-1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spec", SPECS)
def test_the_configuration_speaks_of_these_weights_alone(spec: str, tmp_path: Path) -> None:
    backbone = create_backbone(spec)
    write_timm_folder(backbone, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["num_classes"]) == (backbone.architecture, 0)
    assert config["num_features"] == backbone.dim
    own, stated = backbone.preprocess, config["pretrained_cfg"]
    assert (stated["mean"], stated["std"]) == (list(own.mean), list(own.std))
    assert (stated["input_size"], stated["crop_pct"]) == ([3, own.size, own.size], own.crop_pct)
    assert not any(stated[name] for name in ("license", "tag", "origin_url"))


def test_what_is_no_timm_model_is_sent_to_onnx(convolutions: type[Backbone], tmp_path: Path) -> None:
    with pytest.raises(
        UMTError, match="Convolutions: the student is no timm model, but a Convolutions; take --to onnx"
    ):
        write_timm_folder(convolutions(), tmp_path)


def test_a_backbone_that_does_more_than_its_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = create_backbone(SPECS[0])
    plain = backbone.extract

    def sharper(images: Tensor, maps: Sequence[int]) -> Features:
        found = plain(images, maps)
        return Features(found.pooled * 1.01, found.cls, found.maps)

    monkeypatch.setattr(backbone, "extract", sharper)
    with pytest.raises(UMTError, match=r"timm: differs from the checkpoint by .* \(pooled\), more than 1e-05"):
        write_timm_folder(backbone, tmp_path)


def test_arguments_that_no_file_can_hold_are_one_line(tmp_path: Path) -> None:
    backbone = create_backbone(SPECS[0])
    backbone.model._model_args = {"norm_layer": torch.nn.BatchNorm2d}
    with pytest.raises(UMTError, match=r"cannot be exported to timm \(Object of type type is not JSON serializable\)"):
        write_timm_folder(backbone, tmp_path)
