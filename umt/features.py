"""Outputs of a frozen model over image files: features for linear, k-NN and CKA, scores for evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from umt.backbones.contract import Backbone, Preprocess
from umt.data.images import ImageSamples
from umt.data.loaders import worker_count, worker_errors
from umt.data.registry import Sample
from umt.data.transforms import eval_transform
from umt.errors import UMTError

Progress = Callable[[int, int, str], None]  # done, total, what is counted


def extract_features(
    backbone: Backbone,
    samples: Sequence[Sample],
    resolution: int,
    device: torch.device,
    batch_size: int,
    progress: Progress,
    *,
    crop_pct: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Pooled features float32 [N, D] and labels int64 [N] of classification images, on the CPU, in their order.

    Images are resized to `resolution / crop_pct` and cropped at the centre; by default the crop of the weights.
    UMTError where the backbone gives something that is not finite.
    """
    images = eval_images(samples, backbone.preprocess, resolution, crop_pct or backbone.preprocess.crop_pct)
    backbone.to(device).to(
        memory_format=torch.channels_last
    ).eval()  # halves the time of plain CNNs, costs others nothing
    pooled = run_over(images, lambda batch: backbone(batch, maps=()).pooled, device, batch_size, progress)
    bad = ~pooled.isfinite().all(dim=1)
    if bad.any():
        raise UMTError(
            f"{samples[int(bad.nonzero()[0])].image}: backbone '{backbone.spec}' gives features that are "
            f"not finite (in {int(bad.sum())} of {len(pooled)} images); check its weights"
        )
    return pooled, torch.from_numpy(images.labels)


def eval_images(samples: Sequence[Sample], preprocess: Preprocess, resolution: int, crop_pct: float) -> ImageSamples:
    """Images as they are evaluated; UMTError where the backbone cannot take the resolution."""
    if resolution % preprocess.size_multiple:
        raise UMTError(
            f"resolution {resolution} is not a multiple of {preprocess.size_multiple}, which this backbone needs; "
            f"take {round(resolution / preprocess.size_multiple) * preprocess.size_multiple}"
        )
    return ImageSamples(samples, eval_transform(preprocess, resolution, crop_pct))


@torch.no_grad()
def run_over(
    images: ImageSamples,
    function: Callable[[Tensor], Tensor],
    device: torch.device,
    batch_size: int,
    progress: Progress,
) -> Tensor:
    """float32 [N, ...] on the CPU: `function` of each image, in order."""
    loader = DataLoader(images, batch_size, num_workers=worker_count(len(images)), pin_memory=device.type == "cuda")
    outputs: list[Tensor] = []
    done, started = 0, time.perf_counter()
    with worker_errors():
        for batch, _ in loader:
            outputs.append(function(batch.to(device, non_blocking=True)).float().cpu())
            done += len(batch)
            progress(done, len(images), f"{done / (time.perf_counter() - started):.0f} img/s")
    return torch.cat(outputs)
