"""The configuration of NYUv2: padding is invalid depth, and windows grow to the backbone's size multiple."""

from __future__ import annotations

import dataclasses

import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from benchmarks.suite.protocols import load_protocol
from depth.nyuv2 import NYUSettings, evaluation_config, model_config
from mmseg_configs.scope import mmseg_scope
from umt.backbones import create_backbone

SETTINGS = load_protocol("nyuv2_depth", "paper", NYUSettings).settings


def test_padding_is_invalid_depth_and_not_255_metres() -> None:
    settings = dataclasses.replace(SETTINGS, crop=(64, 64), channels=8, post_process_channels=(4, 4, 4, 4))
    with mmseg_scope(0):
        model = MODELS.build(model_config(settings, create_backbone("timm:test_resnet?pretrained=false")))
    sample = SegDataSample()
    sample.gt_depth_map = PixelData(data=torch.full((1, 40, 50), 3.0))
    image = torch.zeros(3, 40, 50, dtype=torch.uint8)
    batch = model.data_preprocessor({"inputs": [image], "data_samples": [sample]}, training=True)
    depth = batch["data_samples"][0].gt_depth_map.data
    assert batch["inputs"].shape == (1, 3, 64, 64)
    assert depth.shape == (1, 64, 64)
    assert float(depth.sum()) == 3.0 * 40 * 50


def test_windows_fit_patches_of_14() -> None:
    assert evaluation_config(SETTINGS, 16).crop_size == (480, 480)
    assert evaluation_config(SETTINGS, 14).crop_size == (490, 490)


def test_whole_images_of_any_size_are_predicted_at_their_own() -> None:
    settings = dataclasses.replace(
        SETTINGS, crop=(64, 64), channels=8, post_process_channels=(4, 4, 4, 4), test_mode="whole"
    )
    with mmseg_scope(0):
        model = MODELS.build(model_config(settings, create_backbone("timm:test_vit?pretrained=false")))
    model.eval()
    sample = SegDataSample(metainfo={"ori_shape": (75, 99), "img_shape": (50, 66)})
    image = torch.randint(0, 256, (3, 50, 66), dtype=torch.uint8)
    [result] = model.test_step({"inputs": [image], "data_samples": [sample]})
    depth = result.pred_depth_map.data.detach()
    assert depth.shape == (1, 75, 99)
    assert 1e-3 < float(depth.min()) < float(depth.max()) < 10
