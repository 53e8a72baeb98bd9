"""ADE20K linear probing (RADIOv2.5, paper A.1): a frozen backbone, BatchNorm and a 1x1 convolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from mmseg_configs.backbone import PADDING_COLOURS, data_preprocessor, padding_colour
from mmseg_configs.best import Best
from mmseg_configs.datasets import SegmentationSamples
from mmseg_configs.loading import ADE20K_LABELS
from mmseg_configs.runner import Parts, TrainingSettings, check
from mmseg_configs.schedules import falling
from mmseg_configs.scope import mmseg_scope
from mmseg_configs.segmentor import FusedEncoderDecoder
from mmseg_configs.transforms import IMAGING
from umt.backbones import Backbone
from umt.backbones.contract import round_up
from umt.data.contract import Sample
from umt.data.sets.ade20k import CLASSES as ADE20K_CLASSES
from umt.data.targets.labels import Labels


@dataclass(frozen=True)
class ADE20KSettings(TrainingSettings):
    """All settings that change the mIoU of a linear probe."""

    schedule: str  # linear; or linear_from_start, cosine_from_start: already falling in the warm-up
    scale: tuple[int, int]  # longer, shorter side in pixels that images are fitted into, ratio kept
    scale_range: tuple[float, float]  # random factor on `scale` in training
    crop: int  # side of the training crop; it grows to the size multiple if `padding` is grown
    padded_crop: int | None  # side that crops are padded to below and right; null: only crops of small images are
    padding: str  # the way to fit sizes to the size multiple: grown, stretched or centred, see PADDINGS
    cat_max_ratio: float  # largest share of a crop that one class may take, tried 10 times
    flip: float  # probability
    photometric: bool  # mmseg's PhotoMetricDistortion, or the one of `imaging`
    dropout: float  # of whole channels, before the convolution
    test_mode: str  # whole or slide
    test_window: int  # side, with slide; it grows to the size multiple if `padding` is grown
    test_stride: int  # step, with slide
    dropout_first: bool = False  # before BatchNorm, not between it and the convolution
    imaging: str = "opencv"  # resizing and colours: mmseg's, or torchvision: antialiased, any hue (DINOv3)
    padding_colour: str = "black"  # of what is padded below and right; or mean, which is 0 after normalisation
    maps: int = 1  # how many of the backbone's last maps the head reads side by side

    def __post_init__(self) -> None:
        super().__post_init__()
        check("schedule", self.schedule, self.schedule in SCHEDULES, " or ".join(SCHEDULES))
        check("padding", self.padding, self.padding in PADDINGS, " or ".join(PADDINGS))
        check("imaging", self.imaging, self.imaging in IMAGING, " or ".join(IMAGING))
        known = self.padding_colour in PADDING_COLOURS
        check("padding_colour", self.padding_colour, known, " or ".join(PADDING_COLOURS))
        check("maps", self.maps, self.maps > 0, "at least 1")
        check("test_mode", self.test_mode, self.test_mode in ("whole", "slide"), "whole or slide")
        covers = self.test_mode == "whole" or 0 < self.test_stride <= self.test_window
        check("test_stride", self.test_stride, covers, f"1 to test_window = {self.test_window}")
        wide = self.padded_crop is None or self.padded_crop >= self.crop
        check("padded_crop", self.padded_crop, wide, f"null, or at least crop = {self.crop}")


# grown: crops and windows grow; test images are padded below and right, and the prediction there is cut off
# stretched: test images are padded below and right, and the prediction of it all is squeezed into the image (RADIO)
# centred: images are padded all round inside the backbone, and its map is stretched over the image (DINOv2)
PADDINGS = ("grown", "stretched", "centred")
SCHEDULES: dict[str, Callable[[ADE20KSettings], list[dict[str, Any]]]] = {
    "linear": lambda settings: [],  # the runner's own
    "linear_from_start": lambda settings: _falling("linear", settings),
    "cosine_from_start": lambda settings: _falling("cosine", settings),
}


def build(
    settings: ADE20KSettings,
    backbone: Backbone,
    train: Sequence[Sample],
    test: Sequence[Sample],
    seed: int,
    classes: Sequence[str] = ADE20K_CLASSES,
    labels: Labels = ADE20K_LABELS,
) -> Parts:
    """Build the linear probe of a backbone with optimiser, data and metric; the head's weights depend on the seed."""
    multiple = backbone.preprocess.size_multiple
    crop, padded = crop_of(settings, multiple), padded_crop_of(settings, multiple)
    _check_maps(settings, backbone, padded)
    with mmseg_scope(seed):
        model = build_model(settings, backbone, len(classes))
        optimizer = torch.optim.AdamW(
            model.decode_head.parameters(), settings.lr, betas=settings.betas, weight_decay=settings.weight_decay
        )
        return Parts(
            model,
            optimizer,
            SegmentationSamples(train, classes, pipeline=train_pipeline(settings, crop, labels)),
            SegmentationSamples(
                test, classes, pipeline=evaluation_pipeline(settings, multiple, labels), test_mode=True
            ),
            {"type": "ClassIoU"},
            {"crop": crop, "padded_crop": padded, **settings.recorded()},
            schedule=SCHEDULES[settings.schedule](settings),
            best=Best("miou", settings.best_on_test, higher=True) if settings.best_on_test else None,
        )


def build_model(
    settings: ADE20KSettings, backbone: Backbone, classes: int = len(ADE20K_CLASSES)
) -> FusedEncoderDecoder:
    """Build the probe; call this in `mmseg_scope`."""
    model: FusedEncoderDecoder = MODELS.build(model_config(settings, backbone, classes))
    return model


def crop_of(settings: ADE20KSettings, size_multiple: int) -> int:
    """Return the side of the training crop for a backbone."""
    return round_up(settings.crop, size_multiple) if settings.padding == "grown" else settings.crop


def padded_crop_of(settings: ADE20KSettings, size_multiple: int) -> int:
    """Return the side of the padded crop that the segmentor receives."""
    side = settings.padded_crop or settings.crop
    return side if settings.padding == "centred" else round_up(side, size_multiple)


def model_config(settings: ADE20KSettings, backbone: Backbone, classes: int = len(ADE20K_CLASSES)) -> dict[str, Any]:
    """Return the configuration of mmseg's EncoderDecoder: the frozen backbone and the linear head on its last maps."""
    multiple = backbone.preprocess.size_multiple
    channels = backbone.channels[-settings.maps :]
    centred = settings.padding == "centred"
    return {
        "type": "FusedEncoderDecoder",
        "data_preprocessor": data_preprocessor(
            1 if centred else multiple,
            padded_crop_of(settings, multiple),
            colour=padding_colour(settings.padding_colour, backbone),
        ),
        "backbone": {
            "type": "UMTBackbone",
            "backbone": backbone,
            "out_indices": tuple(range(-len(channels), 0)),
            "frozen": True,
            "centred": centred,
        },
        "decode_head": {
            "type": "LinearHead",
            "in_channels": channels,
            "num_classes": classes,
            "dropout_ratio": settings.dropout,
            "dropout_first": settings.dropout_first,
        },
        "test_cfg": evaluation_config(settings, multiple),
    }


def evaluation_config(settings: ADE20KSettings, size_multiple: int) -> ConfigDict:
    """Return mmseg's `test_cfg`."""
    window, stride = settings.test_window, settings.test_stride
    if settings.padding != "centred":
        window = round_up(window, size_multiple)
    return ConfigDict(mode=settings.test_mode, crop_size=(window, window), stride=(stride, stride))


def train_pipeline(settings: ADE20KSettings, crop: int, labels: Labels = ADE20K_LABELS) -> list[dict[str, Any]]:
    """Return mmseg's transforms of a training image."""
    resize, distortion = IMAGING[settings.imaging]
    scale = {"scale": settings.scale, "ratio_range": settings.scale_range, "keep_ratio": True}
    return [
        {"type": "LoadCheckedImage"},
        {"type": "LoadCheckedLabels", "labels": labels},
        {"type": "RandomResize", "resize_type": resize, **scale},
        {"type": "RandomCrop", "crop_size": (crop, crop), "cat_max_ratio": settings.cat_max_ratio},
        {"type": "RandomFlip", "prob": settings.flip},
        *([{"type": distortion}] if settings.photometric else []),
        {"type": "PackSegInputs"},
    ]


def evaluation_pipeline(
    settings: ADE20KSettings, size_multiple: int, labels: Labels = ADE20K_LABELS
) -> list[dict[str, Any]]:
    """Return mmseg's transforms of a test image; labels keep their own size, and are compared at it."""
    return [
        {"type": "LoadCheckedImage"},
        {"type": IMAGING[settings.imaging][0], "scale": settings.scale, "keep_ratio": True},
        # padded here and not by the preprocessor, mmseg takes the padding for a part of the image
        *([{"type": "Pad", "size_divisor": size_multiple}] if settings.padding == "stretched" else []),
        {"type": "LoadCheckedLabels", "labels": labels},
        {"type": "PackSegInputs"},
    ]


def _falling(curve: str, settings: ADE20KSettings) -> list[dict[str, Any]]:
    return falling(curve, total=settings.iterations, warmup=settings.warmup, start=settings.warmup_start)


def _check_maps(settings: ADE20KSettings, backbone: Backbone, side: int) -> None:
    """Raise UMTError if the backbone has too few maps, or BatchNorm fewer than two values a channel."""
    count = len(backbone.channels)
    check("maps", settings.maps, settings.maps <= count, f"at most {count}: '{backbone.spec}' has no more")
    cells = settings.bn_batch * (-(-side // backbone.strides[-1])) ** 2
    expected = f"larger: '{backbone.spec}' has stride {backbone.strides[-1]}, and one cell is too little for BatchNorm"
    check("crop", settings.crop, cells > 1, expected)
