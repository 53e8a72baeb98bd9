"""Surface normals on NYUv2 (probe3d, El Banani et al. 2024): a DPT head on a frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

import depth.normals  # noqa: F401  (registers the classes)
from depth.levels import dpt_levels
from depth.normals.pipeline import Size
from depth.nyuv2 import pictured_paths
from mmseg_configs.backbone import data_preprocessor
from mmseg_configs.datasets import NYUSamples
from mmseg_configs.runner import Parts, TrainingSettings, check
from mmseg_configs.scope import mmseg_scope
from umt.backbones import Backbone
from umt.backbones.contract import round_up
from umt.data.contract import Sample

TRUTHS = {"derived": "depth", "published": "normals"}  # with the kind of data that it is read from


@dataclass(frozen=True)
class NormalsSettings(TrainingSettings):
    """All settings that change the angles. Crops grow to the backbone's size multiple."""

    channels: int  # of the fusion blocks
    post_process_channels: tuple[int, int, int, int]  # of the four levels
    dropout: float  # of whole channels, before the last convolution
    final_norm: bool  # of a ViT, applied to each map
    min_depth: float  # metres; farther or nearer counts as not measured
    max_depth: float
    frame: Size  # height, width in pixels of depth maps to which the camera's focal and centre belong
    focal: tuple[float, float]  # pixels across and down
    centre: tuple[float, float]  # principal point in pixels, from the centre of the first one
    radius: int  # of the square of depth that a normal is fitted to
    tolerance: float  # of inverse depth, beyond which the square is no plane
    size: Size  # height, width in pixels that images and depth are resized to, before normals are derived
    crop: Size  # height, width of the middle that is trained and tested on
    square: float  # probability of a random square instead, enlarged to the crop
    square_area: tuple[float, float]  # its least and largest share
    jitter: float  # probability of a change of colours
    jitter_strength: float
    truth: str = "derived"  # from depth, or published: those of the data set, without camera and derivation

    def __post_init__(self) -> None:
        super().__post_init__()
        check("truth", self.truth, self.truth in TRUTHS, " or ".join(TRUTHS))
        check("radius", self.radius, self.radius > 0, "more than 0")
        inside = all(part <= side for part, side in zip(self.crop, self.size, strict=True))
        check("crop", self.crop, inside, f"no larger than size {self.size}")


def build(
    settings: NormalsSettings, backbone: Backbone, train: Sequence[Sample], test: Sequence[Sample], seed: int
) -> Parts:
    """Build the network with its optimiser, data and metric; the head's weights depend on the seed."""
    with mmseg_scope(seed):
        model = build_model(settings, backbone)
        head = [value for value in model.decode_head.parameters() if value.requires_grad]
        details = {"levels": list(model.backbone.out_indices), "final_norm": model.backbone.normed}
        schedule = {"warmup": settings.warmup, "floor": settings.warmup_start, "end": settings.iterations}
        return Parts(
            model,
            torch.optim.AdamW(head, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay),
            NYUSamples(train, pipeline=pipeline(settings, training=True)),
            NYUSamples(test, pipeline=pipeline(settings, training=False), test_mode=True),
            {"type": "PerImageNormals", "pictured": pictured_paths(test)},
            {**details, **settings.recorded()},
            schedule=[{"type": "QuarterCosineLR", "by_epoch": False, **schedule}],
        )


def build_model(settings: NormalsSettings, backbone: Backbone) -> Any:
    """Build the network of a frozen backbone and its head; call this in `mmseg_scope`."""
    levels = dpt_levels(backbone.strides)
    multiple = backbone.preprocess.size_multiple
    height, width = (round_up(side, multiple) for side in settings.crop)
    return MODELS.build(
        {
            "type": "DepthEstimator",
            # normals are padded with 0, which is none
            "data_preprocessor": {
                **data_preprocessor(multiple, label_padding=0, colour=backbone.preprocess.mean),
                "size": (height, width),
                "size_divisor": None,
            },
            "backbone": {
                "type": "UMTBackbone",
                "backbone": backbone,
                "frozen": True,
                "final_norm": settings.final_norm,
                "out_indices": levels,
                "with_cls": True,
            },
            "decode_head": {
                "type": "DPTNormalHead",
                "in_channels": [backbone.channels[level] for level in levels],
                "strides": [backbone.strides[level] for level in levels],
                "channels": settings.channels,
                "post_process_channels": settings.post_process_channels,
                "dropout_ratio": settings.dropout,
                "loss_decode": {"type": "AngularLoss"},
            },
            "test_cfg": ConfigDict(mode="whole"),
        }
    )


def pipeline(settings: NormalsSettings, *, training: bool) -> list[dict[str, Any]]:
    """Return mmseg's transforms of an image; those at random are for training."""
    augmentation = [
        {"type": "RandomSquare", "prob": settings.square, "area": settings.square_area},
        {"type": "RandomJitter", "prob": settings.jitter, "strength": settings.jitter_strength},
    ]
    return [
        {"type": "LoadCheckedImage"},
        loading(settings),
        {"type": "CentreCrop", "size": settings.size, "crop": settings.crop},
        *(augmentation if training else []),
        {"type": "PackNormals"},
    ]


def loading(settings: NormalsSettings) -> dict[str, Any]:
    """Return the transform that loads the normals."""
    if settings.truth == "published":
        return {"type": "LoadPublishedNormals", "size": settings.size}
    derivation = ("frame", "size", "focal", "centre", "radius", "tolerance", "min_depth", "max_depth")
    return {"type": "LoadDerivedNormals", **{name: getattr(settings, name) for name in derivation}}
