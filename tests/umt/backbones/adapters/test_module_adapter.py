"""Modules of other libraries are recognised by looking at them; the rest is told by `features`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import timm
import torch
from torch import Tensor, nn

from umt.backbones import Preprocess, create_backbone, wrap_module
from umt.backbones.check import check_backbone
from umt.errors import UMTError


class Plain(nn.Module):
    """A network of nobody's library, with a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).mean((2, 3)))


def pooled(module: nn.Module, images: Tensor) -> Tensor:
    return module.body(images).mean((2, 3))


def mapping(module: nn.Module, images: Tensor) -> dict[str, object]:
    fmap = module.body(images)
    return {"pooled": fmap.mean((2, 3)), "maps": [fmap]}


def an_object(module: nn.Module, images: Tensor) -> object:
    fmap = module.body(images)
    return SimpleNamespace(pooled=fmap.mean((2, 3)), cls=fmap[:, :, 0, 0], maps=fmap)


def test_timm_is_recognised_and_loses_its_classifier(images) -> None:
    named = create_backbone("timm:test_vit?pretrained=false")
    module = timm.create_model("test_vit", num_classes=7, dynamic_img_size=True).eval()
    module.load_state_dict(named.model.state_dict(), strict=False)
    backbone = wrap_module(module)
    assert backbone.preprocess == named.preprocess
    assert backbone.weights_hash() == named.weights_hash()
    torch.testing.assert_close(backbone(images(96, 64)).pooled, named(images(96, 64)).pooled)
    assert wrap_module(backbone) is backbone


def test_a_timm_module_that_was_built_for_one_size_takes_others(images) -> None:
    module = timm.create_model("test_vit", num_classes=7).eval()
    flexible = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True).eval()
    flexible.load_state_dict(module.state_dict(), strict=False)
    backbone, pixels = wrap_module(module, "imagenet"), images(96, 64)
    assert (backbone.fixed, backbone.preprocess.size_multiple) == (False, 16)
    torch.testing.assert_close(backbone(pixels).pooled, flexible((pixels - backbone.mean) / backbone.std))


@pytest.mark.parametrize("wrapper", [nn.DataParallel, torch.compile])
def test_wrappers_are_taken_off(wrapper) -> None:
    module = timm.create_model("test_resnet", num_classes=0).eval()
    assert wrap_module(wrapper(module)).model is module


@pytest.mark.parametrize(
    ("features", "depth", "has_cls"), [(pooled, 0, False), (mapping, 1, False), (an_object, 1, True)]
)
def test_an_own_module_is_told_by_features(images, features, depth: int, has_cls: bool) -> None:
    module = Plain().eval()
    backbone = wrap_module(module, Preprocess(mean=(0.5,) * 3, std=(0.25,) * 3, size=64, size_multiple=8), features)
    assert (backbone.dim, backbone.depth, backbone.has_cls, backbone.architecture) == (8, depth, has_cls, "Plain")
    assert backbone.no_dense == (None if depth else "it has none")
    pixels = images(64)
    torch.testing.assert_close(backbone(pixels).pooled, pooled(module, (pixels - 0.5) / 0.25))
    problems = {finding.name for finding in check_backbone(backbone) if finding.problem}
    assert problems <= {"gradients"}, "the classifier is still there, and gets no gradient"


def test_the_manner_of_dinov2_is_recognised(images) -> None:
    class Hub(nn.Module):
        """The interface of DINOv2's hub on timm's network, whose own interface is hidden."""

        def __init__(self) -> None:
            super().__init__()
            self.vit = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True)
            self.n_blocks, self.patch_size = len(self.vit.blocks), 16

        def get_intermediate_layers(self, x, n=1, reshape=False, return_class_token=False, norm=True):
            found = self.vit.get_intermediate_layers(x, n=n, reshape=reshape, return_prefix_tokens=True, norm=norm)
            return tuple((fmap, prefix[:, 0]) for fmap, prefix in found)

    backbone, pixels = wrap_module(Hub().eval()), images(64, 96)
    features = backbone(pixels, maps=(2, 0))
    tokens = backbone.model.vit.forward_features((pixels - backbone.mean) / backbone.std)
    torch.testing.assert_close(features.pooled, tokens[:, 0])
    assert [fmap.shape[2:] for fmap in features.maps] == [(4, 6), (4, 6)]
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "module Plain is of no library that is known here; pass features=lambda module, images"),
        ((None, pooled), "module Plain does not say how its images are normalised; pass preprocess='imagenet'"),
        (("imagnet", pooled), "unknown preprocessing 'imagnet'. Did you mean imagenet?"),
        (("imagenet", lambda module, images: module.body(images)), "pooled is of shape (1, 8"),
        (("imagenet", lambda module, images: {"maps": []}), "pooled is a NoneType, not a tensor [B, D]"),
    ],
)
def test_what_cannot_be_recognised_says_what_to_pass(arguments, message: str) -> None:
    with pytest.raises(UMTError) as raised:
        wrap_module(Plain(), *arguments)
    assert message in str(raised.value)
