"""ADE20K linear probing (RADIOv2.5, paper A.1): a frozen backbone, BatchNorm and a 1x1 convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from mmseg_configs.backbone import data_preprocessor
from mmseg_configs.datasets import ADE20KSamples
from mmseg_configs.runner import Parts, TrainingSettings, check
from mmseg_configs.scope import mmseg_scope
from umt.backbones import Backbone
from umt.backbones.contract import round_up
from umt.data.registry import Sample

CLASSES = 150


@dataclass(frozen=True)
class ADE20KSettings(TrainingSettings):
    """Everything that changes the mIoU of a linear probe. Crops and windows grow to the backbone's size multiple."""

    scale: tuple[int, int]  # longer, shorter side in pixels that images are fitted into, ratio kept
    scale_range: tuple[float, float]  # random factor on `scale` in training
    crop: int  # side of the training crop
    cat_max_ratio: float  # largest share of a crop that one class may take, tried 10 times
    flip: float  # probability
    photometric: bool  # mmseg's PhotoMetricDistortion
    dropout: float  # of whole channels, before the convolution
    test_mode: str  # whole or slide
    test_window: int  # side, with slide
    test_stride: int  # step, with slide

    def __post_init__(self) -> None:
        super().__post_init__()
        check("test_mode", self.test_mode, self.test_mode in ("whole", "slide"), "whole or slide")


def build(
    settings: ADE20KSettings, backbone: Backbone, train: Sequence[Sample], test: Sequence[Sample], seed: int
) -> Parts:
    """The linear probe of a backbone, with its optimiser, data and metric; the head's weights depend on the seed."""
    with mmseg_scope(seed):
        model = MODELS.build(model_config(settings, backbone))
        optimizer = torch.optim.AdamW(
            model.decode_head.parameters(), settings.lr, betas=settings.betas, weight_decay=settings.weight_decay
        )
        crop = round_up(settings.crop, backbone.preprocess.size_multiple)
        return Parts(
            model,
            optimizer,
            ADE20KSamples(train, pipeline=train_pipeline(settings, crop)),
            ADE20KSamples(test, pipeline=evaluation_pipeline(settings), test_mode=True),
            {"type": "ClassIoU"},
            {"crop": crop},
        )


def model_config(settings: ADE20KSettings, backbone: Backbone) -> dict[str, Any]:
    """mmseg's EncoderDecoder with the frozen backbone and the linear head on its last map."""
    multiple = backbone.preprocess.size_multiple
    return {
        "type": "EncoderDecoder",
        "data_preprocessor": data_preprocessor(multiple, round_up(settings.crop, multiple)),
        "backbone": {"type": "UMTBackbone", "backbone": backbone, "out_indices": (-1,), "frozen": True},
        "decode_head": {
            "type": "LinearHead",
            "in_channels": backbone.channels[-1],
            "num_classes": CLASSES,
            "dropout_ratio": settings.dropout,
        },
        "test_cfg": evaluation_config(settings, multiple),
    }


def evaluation_config(settings: ADE20KSettings, size_multiple: int) -> ConfigDict:
    """mmseg's `test_cfg`."""
    window, stride = round_up(settings.test_window, size_multiple), settings.test_stride
    return ConfigDict(mode=settings.test_mode, crop_size=(window, window), stride=(stride, stride))


def train_pipeline(settings: ADE20KSettings, crop: int) -> list[dict[str, Any]]:
    """mmseg's transforms of a training image."""
    return [
        {"type": "LoadCheckedImage"},
        {"type": "LoadCheckedLabels", "classes": CLASSES},
        {"type": "RandomResize", "scale": settings.scale, "ratio_range": settings.scale_range, "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (crop, crop), "cat_max_ratio": settings.cat_max_ratio},
        {"type": "RandomFlip", "prob": settings.flip},
        *([{"type": "PhotoMetricDistortion"}] if settings.photometric else []),
        {"type": "PackSegInputs"},
    ]


def evaluation_pipeline(settings: ADE20KSettings) -> list[dict[str, Any]]:
    """mmseg's transforms of a test image; its labels keep their own size, at which they are compared."""
    return [
        {"type": "LoadCheckedImage"},
        {"type": "Resize", "scale": settings.scale, "keep_ratio": True},
        {"type": "LoadCheckedLabels", "classes": CLASSES},
        {"type": "PackSegInputs"},
    ]
