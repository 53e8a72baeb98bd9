"""Choices of a fine-tuning protocol: the engine's recipe, and the treatment of images and backbone."""

from __future__ import annotations

from dataclasses import dataclass

from umt.data.transforms import Transform, train_transform
from umt.errors import DeclarationError, SizeError
from umt.training.engine import Extras, Recipe

SHARES = ("layer_decay", "drop_path", "crop_pct", "hflip", "reprob", "smoothing")


@dataclass(frozen=True)
class FinetuneSettings(Recipe):
    """Everything that changes the number."""

    layer_decay: float  # learning rate of a layer over that of the next; 1 for none
    drop_path: float  # rate at the last block, rising linearly from 0
    resolution: int  # pixels, of training and test; grows to a size that the backbone takes
    crop_pct: float  # share of the test image's shorter side that the centre crop keeps
    scale: tuple[float, float]  # share of the image's area that a training crop covers
    hflip: float  # chance of a mirror image
    auto_augment: str | None  # in timm's notation
    reprob: float  # chance of erasing a box
    mixup: float  # alpha of the Beta distribution, 0 for none
    cutmix: float
    smoothing: float  # label smoothing
    ema: float | None  # decay of the weights' average over steps, which is scored instead of the last weights
    train_per_class: int | None  # only the first images of each class, null for all

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in SHARES:
            self._require(name, 0 <= getattr(self, name) <= 1, "0 to 1")
        for name in ("mixup", "cutmix"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        self._require("crop_pct", self.crop_pct > 0, "more than 0")
        self._require("resolution", self.resolution > 0, "at least one pixel")
        self._require("scale", 0 < self.scale[0] <= self.scale[1] <= 1, "two rising shares up to 1")
        self._require("train_per_class", self.train_per_class is None or self.train_per_class > 0, "1 or more, or null")
        self.transform("bicubic")
        self.extras()
        if self.mixes and self.device_batch % 2:
            raise SizeError(f"device_batch {self.device_batch} is odd; mixup and cutmix pair images, take an even one")

    @property
    def mixes(self) -> bool:
        """True if images are mixed with others."""
        return bool(self.mixup or self.cutmix)

    def transform(self, interpolation: str, resolution: int | None = None) -> Transform:
        """Return the augmentation of training images; by default at the declared resolution."""
        try:
            return train_transform(
                resolution or self.resolution,
                interpolation,
                auto_augment=self.auto_augment,
                reprob=self.reprob,
                scale=self.scale,
                hflip=self.hflip,
            )
        except (AssertionError, ValueError) as error:  # timm's own error about its notation
            raise DeclarationError(
                f"recipe: auto_augment is '{self.auto_augment}', which timm does not know ({error}); "
                "take rand-m9-mstd0.5-inc1 or null"
            ) from error

    def extras(self) -> Extras:
        """Return the settings of the engine beyond the recipe."""
        return Extras(ema=self.ema)
