"""ImageNet-V2 (Recht et al. 2019), matched frequency: ten new photographs of each class, in folders of its index."""

from __future__ import annotations

from collections.abc import Sequence

from umt.data.archives import Archive
from umt.data.sets.variants import imagenet_variant


def folders(classes: Sequence[str]) -> list[str]:
    """Return the folders of the classes, which are called by their indices."""
    return [str(index) for index in range(len(classes))]


GET = "get it from https://huggingface.co/datasets/vaishaal/ImageNetV2"
ARCHIVE = Archive("imagenetv2-matched-frequency.tar.gz", get=GET, files=22_000, gigabytes=2.6)
INFO = imagenet_variant(
    "imagenet_v2", "ImageNet-V2", ARCHIVE, "imagenetv2-matched-frequency-format-val", 10_000, 6, folders
)
