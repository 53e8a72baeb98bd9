"""NYUv2 depth (Proteus, paper A.1): the whole network is trained, the backbone at a tenth of the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from depth.levels import dpt_levels
from depth.optim import parameter_groups
from mmseg_configs.backbone import data_preprocessor
from mmseg_configs.datasets import NYUSamples
from mmseg_configs.runner import Parts, TrainingSettings, check
from mmseg_configs.scope import mmseg_scope
from umt.backbones import Backbone
from umt.backbones.contract import round_up
from umt.data.registry import Sample

META_KEYS = ("img_path", "ori_shape", "img_shape", "pad_shape", "flip", "flip_direction")


@dataclass(frozen=True)
class NYUSettings(TrainingSettings):
    """Everything that changes the RMSE. Crops and windows grow to the backbone's size multiple."""

    backbone_scale: float  # of lr, for every parameter of the backbone
    channels: int  # of the fusion blocks
    post_process_channels: tuple[int, int, int, int]  # of the four levels
    dropout: float  # of whole channels, before the last convolution
    min_depth: float  # metres; truth outside the range is invalid, predictions are inside
    max_depth: float
    size: tuple[int, int]  # height, width in pixels that images are resized to; the truth keeps its own in testing
    scale_range: tuple[float, float]  # random factor on `size` in training
    crop: int  # side of the training crop
    depth_mix: float  # probability of pasting a band of depth into the image (CutDepth)
    flip: float  # probability
    color: float  # probability of each colour augmentation
    test_mode: str  # whole, or slide_flip: windows, each with its mirror image
    test_window: int  # side, with slide_flip
    test_stride: int  # step, with slide_flip
    eigen_crop: bool  # evaluate rows 45..470 and columns 41..600 of 480x640 only

    def __post_init__(self) -> None:
        super().__post_init__()
        # mmseg's DepthEstimator takes 'slide' as well, and silently tests whole images then
        check("test_mode", self.test_mode, self.test_mode in ("whole", "slide_flip"), "whole or slide_flip")


def build(
    settings: NYUSettings, backbone: Backbone, train: Sequence[Sample], test: Sequence[Sample], seed: int
) -> Parts:
    """The depth network on a backbone, with its optimiser, data and metric; the head's weights depend on the seed."""
    with mmseg_scope(seed):
        model = MODELS.build(model_config(settings, backbone))
        groups = parameter_groups(
            model.backbone,
            model.decode_head,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            backbone_scale=settings.backbone_scale,
        )
        crop = round_up(settings.crop, backbone.preprocess.size_multiple)
        return Parts(
            model,
            torch.optim.AdamW(groups, betas=settings.betas),
            NYUSamples(train, pipeline=train_pipeline(settings, crop)),
            NYUSamples(test, pipeline=evaluation_pipeline(settings), test_mode=True),
            metric_config(settings),
            {"crop": crop, "levels": list(dpt_levels(backbone.strides))},
        )


def model_config(settings: NYUSettings, backbone: Backbone) -> dict[str, Any]:
    """mmseg's DepthEstimator with the backbone and a DPT head on four of its maps."""
    multiple, levels = backbone.preprocess.size_multiple, dpt_levels(backbone.strides)
    return {
        "type": "DepthEstimator",
        # depth is padded with 0, which is invalid; mmseg's 255 would be metres
        "data_preprocessor": data_preprocessor(multiple, round_up(settings.crop, multiple), label_padding=0),
        "backbone": {"type": "UMTBackbone", "backbone": backbone, "out_indices": levels, "with_cls": True},
        "decode_head": {
            "type": "DPTDepthHead",
            "in_channels": [backbone.channels[level] for level in levels],
            "strides": [backbone.strides[level] for level in levels],
            "channels": settings.channels,
            "post_process_channels": settings.post_process_channels,
            "min_depth": settings.min_depth,
            "max_depth": settings.max_depth,
            "dropout_ratio": settings.dropout,
        },
        "test_cfg": evaluation_config(settings, multiple),
    }


def evaluation_config(settings: NYUSettings, size_multiple: int) -> ConfigDict:
    """mmseg's `test_cfg`."""
    window, stride = round_up(settings.test_window, size_multiple), settings.test_stride
    return ConfigDict(mode=settings.test_mode, crop_size=(window, window), stride=(stride, stride))


def metric_config(settings: NYUSettings) -> dict[str, Any]:
    """The metric with its depth range and crop."""
    return {
        "type": "PerImageDepth",
        "min_depth_eval": settings.min_depth,
        "max_depth_eval": settings.max_depth,
        "crop_type": "nyu_crop" if settings.eigen_crop else None,
    }


def train_pipeline(settings: NYUSettings, crop: int) -> list[dict[str, Any]]:
    """mmseg's transforms of a training image."""
    size = settings.size[::-1]
    return [
        {"type": "LoadCheckedImage"},
        {"type": "LoadCheckedDepth", "min_depth": settings.min_depth, "max_depth": settings.max_depth},
        {"type": "RandomDepthMix", "prob": settings.depth_mix},
        {"type": "RandomFlip", "prob": settings.flip},
        {"type": "RandomResize", "scale": size, "ratio_range": settings.scale_range, "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (crop, crop)},
        {"type": "RandomColor", "prob": settings.color},
        {"type": "PackSegInputs", "meta_keys": META_KEYS},
    ]


def evaluation_pipeline(settings: NYUSettings) -> list[dict[str, Any]]:
    """mmseg's transforms of a test image; predictions are resized to the truth, which keeps its own size."""
    return [
        {"type": "LoadCheckedImage"},
        {"type": "Resize", "scale": settings.size[::-1], "keep_ratio": False},
        {"type": "LoadCheckedDepth", "min_depth": settings.min_depth, "max_depth": settings.max_depth},
        {"type": "PackSegInputs", "meta_keys": META_KEYS},
    ]
