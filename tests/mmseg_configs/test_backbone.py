"""UMTBackbone inside mmseg: one normalisation, frozen means frozen, padding, plain configs."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_configs.backbone import FINAL_NORMS, PADDING_COLOURS, UMTBackbone, data_preprocessor, padding_colour
from umt.backbones import create_backbone
from umt.errors import UMTError

CNN = "timm:test_resnet?pretrained=false"
VIT = "timm:test_vit?pretrained=false"

PLAIN_CONFIG = """
custom_imports = dict(imports=['mmseg_configs'])
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True,
        size=(64, 64), test_cfg=dict(size_divisor=32)),
    backbone=dict(type='UMTBackbone', spec='timm:test_resnet?pretrained=false', out_indices=(2, 4), frozen=True),
    decode_head=dict(type='FCNHead', in_channels=96, channels=8, num_convs=1, in_index=1, num_classes=5),
    test_cfg=dict(mode='whole'))
"""


def test_a_plain_mmseg_config_builds_and_predicts(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_text(PLAIN_CONFIG)
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(config.model).eval()
    image = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8)
    sample = SegDataSample(metainfo={"ori_shape": (50, 70), "img_shape": (50, 70)})
    [result] = model.test_step({"inputs": [image], "data_samples": [sample]})
    assert result.pred_sem_seg.data.shape == (1, 50, 70)


def test_bytes_reach_the_network_normalised_once() -> None:
    backbone = create_backbone(CNN)
    bgr = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    preprocessor = MODELS.build(data_preprocessor(backbone.preprocess.size_multiple))
    inputs = preprocessor({"inputs": [bgr], "data_samples": [SegDataSample()]})["inputs"]
    [fmap] = UMTBackbone(backbone=backbone).eval()(inputs)
    rgb = bgr.flip(0)[None].float() / 255
    normalised = (rgb - torch.tensor(backbone.preprocess.mean).view(1, 3, 1, 1)) / torch.tensor(
        backbone.preprocess.std
    ).view(1, 3, 1, 1)
    expected = backbone.model.forward_intermediates(normalised, indices=1, norm=True, intermediates_only=True)[0]
    torch.testing.assert_close(fmap, expected)


def test_frozen_stays_in_eval_mode_and_gets_no_gradient() -> None:
    module = UMTBackbone(CNN, frozen=True)
    before = module.backbone.weights_hash()
    module.train()
    [fmap] = module(torch.rand(2, 3, 64, 64))
    assert not any(part.training for part in module.modules())
    assert not fmap.requires_grad
    assert module.backbone.weights_hash() == before  # running statistics of BatchNorm included


def test_trainable_follows_train_and_gets_gradients() -> None:
    module = UMTBackbone(CNN).train()
    module(torch.rand(2, 3, 64, 64))[0].sum().backward()
    assert module.backbone.training
    assert all(parameter.grad is not None for parameter in module.backbone.model.conv1.parameters())


def test_summary_is_the_pooled_map_of_a_cnn_and_the_class_token_of_a_vit() -> None:
    images = torch.rand(2, 3, 64, 64)
    for fmap, summary in UMTBackbone(CNN, out_indices=(1, 2, 3, 4), with_cls=True).eval()(images):
        torch.testing.assert_close(summary, fmap.mean(dim=(2, 3)))
    vit = UMTBackbone(VIT, out_indices=(1, 5), with_cls=True).eval()
    [_, (_, last)] = vit(images)
    torch.testing.assert_close(last, vit.backbone(images).cls)


@pytest.mark.parametrize("arguments", [{}, {"spec": CNN, "backbone": object()}])
def test_exactly_one_source(arguments: dict[str, object]) -> None:
    with pytest.raises(UMTError, match="exactly one"):
        UMTBackbone(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("training", [True, False])
def test_padding_is_normalised_to_zero_where_the_protocol_says_so(training: bool) -> None:
    """As published code pads, after normalisation; by default padding is black."""
    backbone = create_backbone(VIT)
    images = [torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8) for _ in range(2)]
    seen = {}
    for name in PADDING_COLOURS:
        samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 50, 70))) for _ in images]
        config = data_preprocessor(16, 80 if training else None, colour=padding_colour(name, backbone))
        data = {"inputs": images, "data_samples": samples}
        inputs = MODELS.build(config)(data, training)["inputs"]
        assert inputs.shape == (2, 3, 80, 80) if training else (2, 3, 64, 80)
        torch.testing.assert_close(inputs[:, :, :50, :70], torch.stack(images).flip(1) / 255)
        normalised = (inputs - backbone.mean) / backbone.std
        seen[name] = torch.cat([normalised[:, :, 50:].flatten(2), normalised[:, :, :50, 70:].flatten(2)], dim=2)
    assert not seen["mean"].any()
    black = -torch.tensor(backbone.preprocess.mean) / torch.tensor(backbone.preprocess.std)
    torch.testing.assert_close(seen["black"], black.view(1, 3, 1).expand_as(seen["black"]))


@pytest.mark.parametrize(
    "spec",
    [
        VIT,
        "open_clip:ViT-B-32?pretrained=false&size=64",
        "timm:vit_small_patch16_dinov3?pretrained=false&depth=4&embed_dim=48&num_heads=2",
    ],
)
def test_maps_without_the_final_norm_are_the_outputs_of_blocks(spec: str) -> None:
    """The norm over them gives the maps with it."""
    backbone = create_backbone(spec).eval()
    images = torch.rand(2, 3, 64, 64)
    levels = (1, 3)
    with torch.no_grad():
        normed = UMTBackbone(backbone=backbone, out_indices=levels, with_cls=True).eval()(images)
        norm = copy.deepcopy(next(part for name, part in backbone.named_modules() if name in FINAL_NORMS))
        module = UMTBackbone(backbone=backbone, out_indices=levels, with_cls=True, final_norm=False).eval()
        raw = module(images)
    assert not module.normed
    for (fmap, token), (expected, summary) in zip(raw, normed, strict=True):
        torch.testing.assert_close(norm(fmap.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), expected)
        torch.testing.assert_close(norm(token), summary)
        assert (fmap - expected).abs().max() > 0.1


def test_blocks_of_timm_are_read_as_they_are() -> None:
    module = UMTBackbone(VIT, out_indices=(1,), final_norm=False).eval()
    outputs: list[torch.Tensor] = []
    module.backbone.get_submodule("model.blocks.1").register_forward_hook(
        lambda *arguments: outputs.append(arguments[2])
    )
    [fmap] = module(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(fmap.flatten(2).transpose(1, 2), outputs[0][:, 1:])


def test_a_network_without_a_final_norm_of_its_maps_stays_as_it_is() -> None:
    for spec in (CNN, "timm:test_convnext?pretrained=false"):
        module = UMTBackbone(spec, final_norm=False)
        assert module.normed
        assert module.backbone.weights_hash() == create_backbone(spec).weights_hash()
