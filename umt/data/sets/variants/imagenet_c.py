"""ImageNet-C (Hendrycks and Dietterich 2019): the validation images in 15 corruptions, each at five severities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from umt.data.archives import Archive
from umt.data.contract import MiniVersion, Sample
from umt.data.layouts import gathered
from umt.data.reading import foldered_samples, subfolders
from umt.data.sets.variants import class_names, imagenet_variant, training_images
from umt.errors import DataError

CORRUPTIONS = {  # by the archive that holds them; the five of extra.tar are not part of the benchmark
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
NAMES = tuple(name for group in CORRUPTIONS.values() for name in group)
SEVERITIES = ("1", "2", "3", "4", "5")
GET = "get it from https://zenodo.org/records/2235448"
GIGABYTES = {"noise": 23, "blur": 9, "weather": 14, "digital": 9}  # about
ARCHIVES = tuple(
    Archive(f"{name}.tar", get=GET, files=260_000 * len(corruptions), gigabytes=2.0 * GIGABYTES[name])
    for name, corruptions in CORRUPTIONS.items()
)


def read(root: Path, split: str) -> Sequence[Sample]:
    """List the images of a split in order of corruption, severity, class and name."""
    if split == "train":
        return training_images(root)
    names = class_names(root)
    samples: list[Sample] = []
    for corruption in NAMES:
        for severity in SEVERITIES:
            folder = root / corruption / severity
            folders = subfolders(folder)
            unknown = sorted(set(folders) - set(names))
            if unknown:
                raise DataError(f"{folder / unknown[0]}: is no class of ImageNet-1k beside it; remove the folder")
            samples += foldered_samples(folder, folders, names)
    return samples


def write_mini(folder: Path, count: int) -> None:
    """Write the last scanned digits under a grey veil."""
    from umt.data.mini.digits import write_corruptions  # slow to import

    write_corruptions(NAMES, SEVERITIES, folder, count)


INFO = replace(
    imagenet_variant("imagenet_c", "ImageNet-C", ARCHIVES[0], "imagenet-c", images=15 * 5 * 50_000, number=3),
    read=read,
    source=f"extract noise.tar, blur.tar, weather.tar and digital.tar there ({GET}), and put ImageNet-1k into "
    "imagenet beside it",
    parts=(gathered("imagenet-c", *ARCHIVES),),
    gigabytes=float(sum(GIGABYTES.values())),
    mini=MiniVersion(
        "digits 3",
        200,  # scans
        write_mini,
        real="the last of these digits, under a grey veil, in ImageNet-C's layout",
        example=False,
    ),
)
