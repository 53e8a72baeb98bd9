"""torchvision's models as backbones, against torchvision's own ways to the same features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from umt.backbones import create_backbone, wrap_module
from umt.backbones.check import check_backbone
from umt.errors import UMTError

# A model of each family: the multiple of its sides, its strides and its width.
FAMILIES = {
    "resnet18": (32, (4, 8, 16, 32), 512),
    "convnext_tiny": (32, (4, 8, 16, 32), 768),
    "efficientnet_b0": (32, (2, 4, 8, 16, 32), 1280),
    "mobilenet_v3_small": (32, (2, 4, 8, 16, 32), 1024),
    "regnet_y_400mf": (32, (4, 8, 16, 32), 440),
    "swin_t": (32, (4, 8, 16, 32), 768),
    "densenet121": (32, (2, 4, 8, 16, 32), 1024),
    "vgg11": (32, (1, 2, 4, 8, 16, 32), 4096),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "expected"), FAMILIES.items())
def test_every_family_keeps_the_contract(name: str, expected: tuple[int, tuple[int, ...], int]) -> None:
    backbone = create_backbone(f"torchvision:{name}?pretrained=false")
    problems = [finding for finding in check_backbone(backbone) if finding.problem]
    assert [finding.name for finding in problems] == []
    multiple, strides, dim = expected
    assert backbone.preprocess.size_multiple == multiple
    assert tuple(dict.fromkeys(backbone.strides)) == strides
    assert (backbone.dim, backbone.architecture, backbone.notes) == (dim, name, ("random weights (pretrained=false)",))


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "flatten"), ("mobilenet_v3_small", "classifier.1")])
def test_pooled_is_the_input_of_the_last_linear_layer(images, name: str, layer: str) -> None:
    model = models.get_model(name).eval()
    extractor = create_feature_extractor(model, {layer: "pooled"})
    pixels = images(96, 64)
    backbone = wrap_module(models.get_model(name).eval(), "clip")
    backbone.model.load_state_dict(model.state_dict(), strict=False)
    normalised = (pixels - backbone.mean) / backbone.std
    torch.testing.assert_close(backbone(pixels, maps=()).pooled, extractor(normalised)["pooled"].flatten(1))
    assert backbone.preprocess.mean[0] == pytest.approx(0.48145466)


def test_maps_are_the_stages(images) -> None:
    model = models.resnet18().eval()
    extractor = create_feature_extractor(model, [f"layer{number}" for number in (1, 2, 3, 4)])
    backbone, pixels = wrap_module(model), images(64)
    expected = extractor((pixels - backbone.mean) / backbone.std)
    for found, wanted in zip(backbone(pixels).maps, expected.values(), strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_vit_gives_what_torchvision_gives_and_takes_other_sizes(images) -> None:
    model = models.VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32).eval()
    with torch.no_grad():
        model.encoder.pos_embedding.normal_()
    pixels = images(32)
    expected = {}
    model.encoder.register_forward_hook(lambda module, given, output: expected.update(tokens=output))
    backbone = wrap_module(model)
    model((pixels - backbone.mean) / backbone.std)
    features = backbone(pixels)
    torch.testing.assert_close(features.cls, expected["tokens"][:, 0])
    torch.testing.assert_close(features.pooled, features.cls)
    torch.testing.assert_close(features.maps[-1].flatten(2).mT, expected["tokens"][:, 1:])
    assert (backbone.strides, backbone.preprocess.size, backbone.has_cls) == ((8, 8), 32, True)
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []


def test_weights_from_a_file(tmp_path: Path) -> None:
    source = models.resnet18()
    torch.save(source.state_dict(), tmp_path / "w.pth")
    backbone = create_backbone(f"torchvision:resnet18?weights={tmp_path}/w.pth&mean=0.5&std=0.5")
    assert backbone.load_report.complete
    assert (backbone.preprocess.mean, backbone.preprocess.crop_pct, backbone.notes) == ((0.5,) * 3, 224 / 256, ())
    torch.testing.assert_close(backbone.model.conv1.weight, source.conv1.weight)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet51", "unknown torchvision model 'resnet51'. Did you mean resnet"),
        ("torchvision:resnet50?weights=IMAGENET1K_V3", "unknown weights of torchvision's resnet50 'IMAGENET1K_V3'"),
        ("torchvision:resnet50?pretrained=false&depth=3", "unknown option 'depth'; take weights or pretrained"),
    ],
)
def test_wrong_names_are_one_line(name: str, message: str) -> None:
    with pytest.raises(UMTError) as raised:
        create_backbone(name, trusted=True)
    assert message in str(raised.value)
