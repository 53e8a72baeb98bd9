"""The services of the base class for every backbone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from umt.backbones import Backbone, Preprocess, create_backbone
from umt.backbones.contract import hash_tensors, round_up
from umt.errors import UMTError


def test_a_hash_is_known_until_the_weights_train() -> None:
    backbone = create_backbone("timm:test_resnet?pretrained=false")
    backbone.known_hash = "known"
    assert backbone.eval().weights_hash() == "known"
    assert backbone.train().weights_hash() == backbone.hash_weights()


def test_images_are_normalised_by_the_contract(two_stages, images) -> None:
    backbone = two_stages()
    pixels = images(16)
    normalised = torch.stack([(pixels[:, c] - m) / s for c, (m, s) in enumerate([(0.4, 0.2), (0.5, 0.25), (0.6, 0.3)])])
    torch.testing.assert_close(backbone(pixels).maps[0], backbone.fine(normalised.transpose(0, 1)))


def test_maps_are_given_in_the_order_asked(two_stages, images) -> None:
    backbone, pixels = two_stages(), images(16)
    every = backbone(pixels).maps
    assert [fmap.shape[1] for fmap in backbone(pixels, maps=[-1, 0]).maps] == [6, 4]
    assert backbone(pixels, maps=()).maps == []
    torch.testing.assert_close(backbone(pixels, maps=[1]).maps[0], every[1], rtol=0, atol=0)


def test_a_map_that_does_not_exist_is_refused(two_stages, images) -> None:
    with pytest.raises(UMTError, match=r"has no maps \[2\]; take 0 to 1"):
        two_stages()(images(16), maps=[2])


def test_the_summary_is_the_class_token_or_the_pooled_map(two_stages, images) -> None:
    features = two_stages()(images(16))
    torch.testing.assert_close(features.summary(0), features.maps[0].flatten(2).mean(-1))
    features.map_cls = [torch.ones(2, 4), torch.zeros(2, 6)]
    assert features.summary(0) is features.map_cls[0]


def test_overrides_of_the_preprocessing() -> None:
    changed = Preprocess().override(mean=0.5, std=[1, 2, 3], size=64)
    assert (changed.mean, changed.std, changed.size) == ((0.5,) * 3, (1.0, 2.0, 3.0), 64)
    assert Preprocess().override() == Preprocess()
    with pytest.raises(UMTError, match="one number or"):
        Preprocess().override(mean=[0.5, 0.5])


def test_layers_follow_the_numbered_blocks() -> None:
    backbone = Backbone(Preprocess(), channels=[1], strides=[1], dim=1)
    backbone.stem = nn.Linear(1, 1)
    backbone.blocks = nn.Sequential(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), nn.Linear(1, 1))
    layers = backbone.layer_ids()
    assert layers["stem.weight"] == layers["stem.bias"] == 0
    assert layers["blocks.0.0.weight"] == layers["blocks.0.1.bias"] == 1
    assert layers["blocks.1.weight"] == 2


def test_equal_weights_have_equal_hashes() -> None:
    weights = {"a": torch.arange(4.0), "b": torch.tensor(1)}
    same = {"b": torch.tensor(1), "a": torch.arange(8.0)[:4]}
    assert hash_tensors(weights) == hash_tensors(same)
    for other in (
        {**weights, "a": torch.arange(4.0) + 1e-6},
        {**weights, "a": torch.arange(4.0).view(2, 2)},
        {**weights, "a": torch.arange(4)},
        {"a": weights["a"], "c": weights["b"]},
    ):
        assert hash_tensors(weights) != hash_tensors(other)


@pytest.mark.parametrize(
    ("spec", "architecture"),
    [
        ("timm:test_resnet.r160_in1k?pretrained=false", "test_resnet"),
        ("open_clip:ViT-S-32-alt?pretrained=false", "ViT-S-32-alt"),
    ],
)
def test_architecture_is_the_registered_name(spec: str, architecture: str) -> None:
    assert create_backbone(spec).architecture == architecture


def test_sides_grow_to_what_the_backbone_takes() -> None:
    assert [round_up(512, multiple) for multiple in (16, 32, 14)] == [512, 512, 518]
