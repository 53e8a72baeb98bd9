"""NYUv2 depth (paper A.1, Proteus, DINOv3): a head on a backbone that is frozen or learns slowly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.dist import get_dist_info
from mmseg.registry import MODELS

from depth.heads import HEADS
from depth.losses import LOSSES
from depth.optim import RULES
from depth.transforms import BENCHMARK, COLORS
from depth.windows import WindowedDepthEstimator
from mmseg_configs.backbone import PADDING_COLOURS, UMTBackbone, data_preprocessor, padding_colour
from mmseg_configs.best import Best
from mmseg_configs.datasets import NYUSamples
from mmseg_configs.runner import Parts, TrainingSettings, check
from mmseg_configs.schedules import annealed, one_cycle
from mmseg_configs.scope import mmseg_scope
from umt.backbones import Backbone
from umt.backbones.contract import round_up
from umt.data.checks.items import MILLIMETRES
from umt.data.contract import Sample
from umt.panels import pictured
from umt.training.drop_path import set_drop_path

META_KEYS = ("img_path", "ori_shape", "img_shape", "pad_shape", "flip", "flip_direction")


@dataclass(frozen=True)
class NYUSettings(TrainingSettings):
    """All settings that change the RMSE. Crops and windows grow to the backbone's size multiple."""

    schedule: str  # linear; annealed: DINOv2's; one_cycle: DINOv3's, whose warmup_start is the floor in the warm-up
    clip_norm: float | None  # largest norm of the gradient, null for no limit
    head: str  # dpt, dpt_raw (unbounded in training), bins (linear, DINOv3's), token_bins or token_bins4 (DINOv2's)
    loss: str  # silog, or sig: AdaBins'
    trained: str  # all; custom_keys: all as Proteus' configuration matched them; head: a frozen backbone
    backbone_scale: float  # of lr, for the backbone
    drop_path: float  # rate at the backbone's last block, rising linearly from 0
    channels: int  # of the fusion blocks
    post_process_channels: tuple[int, int, int, int]  # of the four levels
    dropout: float  # of whole channels, before the last convolution
    min_depth: float  # metres; truth outside the range is not evaluated, predictions are inside
    max_depth: float
    border_crop: bool  # of training images: without the white frame, rows 45..471 and columns 43..607 of 480x640
    size: tuple[int, int]  # height, width in pixels that training images are fitted into, ratio kept
    test_size: tuple[int, int]  # height, width that test images are resized to; the truth keeps its own
    scale_range: tuple[float, float]  # random factor on `size` in training
    rotation: float  # degrees, at most, of half the training images
    crop: tuple[int, int]  # height, width of the training crop
    depth_mix: float  # probability of pasting a band of depth into the image (CutDepth)
    flip: float  # probability
    color: float  # probability of each colour augmentation
    color_kind: str  # albumentations or adabins
    test_mode: str  # whole, or slide_flip: windows, each with its mirror image
    test_window: int  # side, with slide_flip; one window if the image is no larger
    test_stride: int  # step, with slide_flip
    eigen_crop: bool  # evaluate rows 45..470 and columns 41..600 of 480x640 only
    kb_crop: bool = False  # of KITTI's images, in training and tests: the crop of its benchmark
    garg_crop: bool = False  # evaluate Garg's crop only
    final_norm: bool = True  # of a ViT, applied to each map; false: maps are the outputs of blocks, as published
    far_truth: bool = False  # train on truth out of the depth range, too; tests are always within it
    loss_images: int | None = None  # number of images over which `sig` takes mean and variance; null: of a forward
    padding_colour: str = "black"  # of what is padded below and right; or mean, which is 0 after normalisation
    # grown; or centred: images are padded all round inside the backbone, and its map is stretched over them (DINOv2)
    padding: str = "grown"
    brightness: tuple[float, float] = (0.75, 1.25)  # least and largest factor of adabins' colours

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, known in CHOICES.items():
            check(field, getattr(self, field), getattr(self, field) in known, " or ".join(known))
        for field in ("test_window", "test_stride", "channels"):
            check(field, getattr(self, field), getattr(self, field) > 0, "more than 0")
        divides = self.bn_batch % self.loss_share == 0
        check("loss_images", self.loss_images, divides, f"null, or a divisor of bn_batch = {self.bn_batch}")
        check("test_size", self.test_size, not self.kb_crop or tuple(self.test_size) == BENCHMARK, f"{BENCHMARK}")
        undropped = self.dropout == 0 or not self.head.startswith("token_bins")
        check("dropout", self.dropout, undropped, f"0, because head {self.head} has none")
        check("max_depth", self.max_depth, 0 < self.min_depth < self.max_depth, f"more than min_depth {self.min_depth}")

    @property
    def loss_share(self) -> int:
        """Images of a forward that one process must have, because the loss takes them together."""
        return (self.loss_images or self.bn_batch) if self.loss == "sig" else 1

    def processes(self, limit: int) -> int:
        """Return the number of processes, up to `limit`, that share a forward evenly, with whole groups of the loss."""
        groups = self.bn_batch // self.loss_share
        return max(count for count in range(1, limit + 1) if groups % count == 0)


def _published(schedule: Callable[..., list[dict[str, Any]]], settings: NYUSettings) -> list[dict[str, Any]]:
    return schedule(total=settings.iterations, warmup=settings.warmup, start=settings.warmup_start)


SCHEDULES: dict[str, Callable[[NYUSettings], list[dict[str, Any]]]] = {
    "linear": lambda settings: [],  # the runner's own
    "annealed": partial(_published, annealed),
    "one_cycle": partial(_published, one_cycle),
}
CHOICES = {
    "head": tuple(HEADS),
    "loss": tuple(LOSSES),
    "trained": tuple(RULES),
    "color_kind": tuple(COLORS),
    "schedule": tuple(SCHEDULES),
    "padding": ("grown", "centred"),
    "padding_colour": PADDING_COLOURS,
    # mmseg's DepthEstimator takes 'slide' as well, and silently tests whole images then
    "test_mode": ("whole", "slide_flip"),
}


def build(
    settings: NYUSettings,
    backbone: Backbone,
    train: Sequence[Sample],
    test: Sequence[Sample],
    seed: int,
    scale: float = MILLIMETRES,
) -> Parts:
    """Build the depth network with its optimiser, data and metric; the head's weights depend on the seed.

    scale: values of a metre in the depth maps.
    """
    processes = get_dist_info()[1]
    shares_out = settings.processes(processes) == processes
    check("loss", settings.loss, shares_out, f"silog with {processes} processes, or loss_images smaller")
    if settings.drop_path:
        set_drop_path(backbone, settings.drop_path)
    with mmseg_scope(seed):
        model = build_model(settings, backbone)
        crop = crop_of(settings, backbone)
        return Parts(
            model,
            optimizer_of(settings, model),
            NYUSamples(train, pipeline=train_pipeline(settings, crop, scale)),
            NYUSamples(test, pipeline=evaluation_pipeline(settings, scale), test_mode=True),
            {**metric_config(settings), "pictured": pictured_paths(test)},
            {"crop": list(crop), **_levels(model.backbone), **settings.recorded()},
            schedule=SCHEDULES[settings.schedule](settings),
            clip_norm=settings.clip_norm,
            best=Best("rmse", settings.best_on_test) if settings.best_on_test else None,
        )


def build_model(settings: NYUSettings, backbone: Backbone) -> WindowedDepthEstimator:
    """Build the depth network; call this in `mmseg_scope`."""
    model: WindowedDepthEstimator = MODELS.build(model_config(settings, backbone))
    return model


def _levels(backbone: UMTBackbone) -> dict[str, Any]:
    """Return the maps that the head reads, and if a final norm is applied to them, for a result's details."""
    return {"levels": list(backbone.out_indices), "final_norm": backbone.normed}


def optimizer_of(settings: NYUSettings, model: Any) -> torch.optim.Optimizer:
    """Return AdamW over the parameters that the protocol trains."""
    groups = RULES[settings.trained](
        model.backbone,
        model.decode_head,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        backbone_scale=settings.backbone_scale,
    )
    return torch.optim.AdamW(groups, betas=settings.betas)


def crop_of(settings: NYUSettings, backbone: Backbone) -> tuple[int, int]:
    """Return height and width of the training crop: the protocol's, grown to fit the backbone."""
    height, width = (round_up(side, multiple_of(settings, backbone)) for side in settings.crop)
    return height, width


def multiple_of(settings: NYUSettings, backbone: Backbone) -> int:
    """Return the size multiple of crops and windows; a backbone that pads them on its own takes any."""
    return 1 if settings.padding == "centred" else backbone.preprocess.size_multiple


def pictured_paths(test: Sequence[Sample]) -> list[str]:
    """Return the paths of the test images whose predictions are kept."""
    return [str(test[index].image) for index in pictured(len(test))]


def model_config(settings: NYUSettings, backbone: Backbone) -> dict[str, Any]:
    """Return the configuration of mmseg's DepthEstimator with the backbone and the protocol's head."""
    parts = HEADS[settings.head](settings, backbone)
    frozen = settings.trained == "head"
    multiple = multiple_of(settings, backbone)
    return {
        "type": "WindowedDepthEstimator",
        # depth is padded with 0, which is invalid; mmseg's 255 would be metres
        "data_preprocessor": {
            **data_preprocessor(multiple, label_padding=0, colour=padding_colour(settings.padding_colour, backbone)),
            "size": crop_of(settings, backbone),
            "size_divisor": None,
            # windows fit the backbone, so images need not
            "test_cfg": {"size_divisor": multiple if settings.test_mode == "whole" else 1},
        },
        "backbone": {
            "type": "UMTBackbone",
            "backbone": backbone,
            "frozen": frozen,
            "final_norm": settings.final_norm,
            "centred": settings.padding == "centred",
            **parts["backbone"],
        },
        "decode_head": parts["decode_head"],
        "test_cfg": evaluation_config(settings, multiple),
    }


def evaluation_config(settings: NYUSettings, size_multiple: int) -> ConfigDict:
    """Return mmseg's `test_cfg`."""
    window, stride = round_up(settings.test_window, size_multiple), settings.test_stride
    return ConfigDict(mode=settings.test_mode, crop_size=(window, window), stride=(stride, stride))


def metric_config(settings: NYUSettings) -> dict[str, Any]:
    """Return the configuration of the metric with its depth range and crop."""
    return {
        "type": "PerImageDepth",
        "min_depth_eval": settings.min_depth,
        "max_depth_eval": settings.max_depth,
        "crop_type": "nyu_crop" if settings.eigen_crop else None,
        "garg": settings.garg_crop,
    }


def train_pipeline(settings: NYUSettings, crop: tuple[int, int], scale: float = MILLIMETRES) -> list[dict[str, Any]]:
    """Return mmseg's transforms of a training image."""
    size = settings.size[::-1]
    limits = {
        "min_depth": settings.min_depth,
        "max_depth": settings.max_depth,
        "far": settings.far_truth,
        "scale": scale,
    }
    turn = {"type": "RandomRotate", "prob": 0.5, "degree": settings.rotation, "pad_val": 0, "seg_pad_val": 0}
    return [
        {"type": "LoadCheckedImage"},
        {"type": "LoadCheckedDepth", **limits},
        *([{"type": "BenchmarkCrop"}] if settings.kb_crop else []),
        *([{"type": "BorderCrop"}] if settings.border_crop else []),
        *([turn] if settings.rotation else []),
        {"type": "RandomDepthMix", "prob": settings.depth_mix},
        {"type": "RandomFlip", "prob": settings.flip},
        {"type": "RandomResize", "scale": size, "ratio_range": settings.scale_range, "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": crop},
        color_config(settings),
        {"type": "PackSegInputs", "meta_keys": META_KEYS},
    ]


def color_config(settings: NYUSettings) -> dict[str, Any]:
    """Return the configuration of the change of colours."""
    adabins = {"brightness": settings.brightness} if settings.color_kind == "adabins" else {}
    return {"type": COLORS[settings.color_kind], "prob": settings.color, **adabins}


def evaluation_pipeline(settings: NYUSettings, scale: float = MILLIMETRES) -> list[dict[str, Any]]:
    """Return mmseg's transforms of a test image; predictions are resized to the truth, which keeps its own size."""
    limits = {"min_depth": settings.min_depth, "max_depth": settings.max_depth, "scale": scale}
    load = {"type": "LoadCheckedDepth", **limits}
    resize = {"type": "Resize", "scale": settings.test_size[::-1], "keep_ratio": False}
    return [
        {"type": "LoadCheckedImage"},
        *([load, {"type": "BenchmarkCrop"}] if settings.kb_crop else [resize, load]),
        {"type": "PackSegInputs", "meta_keys": META_KEYS},
    ]
