"""Official files of SparK and DINO: stand-ins of their layouts give the outputs of the models they were made of."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from umt.backbones import Backbone, create_backbone
from umt.backbones.layouts import backbone_part
from umt.errors import UMTError

RESNET = {"layers": [1, 1, 1, 1]}  # of ResNet-50's bottlenecks, with their names and widths
CONVNEXT = {"depths": [1, 1, 2, 1], "dims": [8, 16, 32, 64]}
State = Mapping[str, Tensor]

# timm's names of ConvNeXt, and those of its authors, which SparK keeps
TO_OFFICIAL = (
    (r"^stem\.", "downsample_layers.0."),
    (r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1."),
    (r"^stages\.(\d)\.blocks\.", r"stages.\1."),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.mlp\.fc([12])\.", r".pwconv\1."),
)


def shaken(model: nn.Module) -> nn.Module:
    """In eval mode, with statistics and scales that are not those of every fresh model."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and not name.startswith("head.norm"):
                value.add_(0.1 * torch.rand(value.shape, generator=generator))
    return model.eval()


@pytest.fixture
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return shaken(timm.create_model("resnet50", num_classes=0, **RESNET))


@pytest.fixture
def convnext() -> nn.Module:
    torch.manual_seed(0)
    return shaken(timm.create_model("convnext_base", num_classes=0, **CONVNEXT))


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Backbone]:
    """A backbone with the weights of a file of this content."""

    def load(name: str, content: object, **options: object) -> Backbone:
        torch.save(content, tmp_path / "w.pth")
        return create_backbone(f"timm:{name}", weights=str(tmp_path / "w.pth"), **options)

    return load


def prefixed(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def official(state: State) -> dict[str, Tensor]:
    """ConvNeXt as SparK's authors save it: without the final norm, which their pretraining does not have."""
    names = {name: name for name in state if not name.startswith("head.")}
    for pattern, replacement in TO_OFFICIAL:
        names = {name: re.sub(pattern, replacement, new) for name, new in names.items()}
    return {new: state[name] for name, new in names.items()}


def spark_training(encoder: State) -> dict[str, object]:
    """What SparK's pretraining saves: the whole model and how it was trained."""
    rest = ("dense_decoder.dec.0.up_sample.weight", "densify_norms.0.weight", "densify_projs.0.bias", "mask_tokens.0")
    unused = ("imn_m", "imn_s", "norm_black")
    companions = {name: torch.zeros(1) for name in (*rest, *unused)}
    model = {**prefixed("sparse_encoder.sp_cnn.", encoder), **companions, "config": {"mask_ratio": 0.6}}
    return {"args": "{}", "input_size": 224, "arch": "resnet50", "epoch": 1599, "module": model, "optimizer": {}}


def dino_training(backbone: State, wrapper: str = "") -> dict[str, object]:
    """What DINO saves: student and teacher with their projection heads."""
    head = {f"{wrapper}head.{name}": torch.zeros(1) for name in ("mlp.0.weight", "mlp.0.bias", "last_layer.weight_g")}
    student = {**prefixed("module.backbone.", backbone), **prefixed("module.", head)}
    return {
        "student": {name: torch.zeros_like(value) for name, value in student.items()},
        "teacher": {**prefixed(f"{wrapper}backbone.", backbone), **head},
        "epoch": 800,
        "args": Namespace(arch="resnet50"),
        "dino_loss": {"center": torch.zeros(1)},
    }


def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def normalised(backbone: Backbone) -> Tensor:
    return (images() - backbone.mean) / backbone.std


@torch.no_grad()
def assert_same(backbone: Backbone, model: nn.Module) -> None:
    features = backbone(images())
    fmap = model.forward_features(normalised(backbone))
    torch.testing.assert_close(features.maps[-1], fmap)
    torch.testing.assert_close(features.pooled, model.forward_head(fmap, pre_logits=True))


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"module": state}, spark_training])
def test_spark_resnet(resnet: nn.Module, loaded: Callable[..., Backbone], wrap: Callable) -> None:
    backbone = loaded("resnet50", wrap(resnet.state_dict()), **RESNET)
    assert backbone.load_report is not None
    assert backbone.load_report.complete
    assert_same(backbone, resnet)


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"module": state}, spark_training])
def test_spark_convnext(convnext: nn.Module, loaded: Callable[..., Backbone], wrap: Callable) -> None:
    state = official(convnext.state_dict())
    assert {"downsample_layers.0.0.weight", "downsample_layers.3.1.bias", "stages.2.1.dwconv.weight"} <= state.keys()
    assert {"stages.0.0.gamma", "stages.0.0.norm.bias", "stages.0.0.pwconv2.weight"} <= state.keys()
    backbone = loaded("convnext_base", wrap(state), **CONVNEXT)
    assert backbone.load_report is not None
    assert backbone.load_report.missing == ["head.norm.bias", "head.norm.weight"], "SparK has no final norm"
    assert backbone.load_report.unexpected == []
    assert_same(backbone, convnext)


@pytest.mark.parametrize("wrap", [lambda state: state, dino_training, lambda state: dino_training(state, "module.")])
@torch.no_grad()
def test_dino_resnet(loaded: Callable[..., Backbone], wrap: Callable) -> None:
    """Against torchvision's ResNet, which DINO trains."""
    torch.manual_seed(0)
    bottleneck = torchvision.models.resnet.Bottleneck
    model = torchvision.models.ResNet(bottleneck, RESNET["layers"])
    model.fc = nn.Identity()
    shaken(model)
    backbone = loaded("resnet50", wrap(model.state_dict()), **RESNET)
    assert backbone.load_report is not None
    assert backbone.load_report.complete
    torch.testing.assert_close(backbone(images()).pooled, model(normalised(backbone)))


def test_a_companion_that_no_layout_knows_is_not_dropped(resnet: nn.Module, loaded: Callable[..., Backbone]) -> None:
    state = {**prefixed("backbone.", resnet.state_dict()), "neck.weight": torch.zeros(1)}
    assert backbone_part(state) == state
    with pytest.raises(UMTError, match=r"w\.pth: does not fit the model: 0 matched"):
        loaded("resnet50", state, **RESNET)


def test_another_state_dict_is_left_as_it_is() -> None:
    state = {"head.weight": torch.zeros(1), "blocks.0.bias": torch.zeros(1)}
    assert backbone_part(state) == state
