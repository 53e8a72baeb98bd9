"""Outputs of a frozen model over image files: features for probes, k-NN and CKA, scores for evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype

from umt.backbones.contract import Backbone, Features, Preprocess
from umt.data.contract import Sample
from umt.data.images import ImageSamples
from umt.data.loaders import decoded_batches, decoding_threads
from umt.data.transforms import eval_pixels
from umt.errors import BackboneError, NotFiniteError, SizeError, unknown_name
from umt.host_copies import on_host

Progress = Callable[[int, int, str], None]  # done, total, counted items
Consume = Callable[[Sequence[Tensor]], None]
Forward = Callable[[Tensor], Sequence[Tensor]]  # of images [B, 3, R, R]
PARTS_OF_A_MAP: dict[str, Callable[[Features, int], Tensor]] = {
    "map": lambda features, position: features.maps[position],
    "mean": lambda features, position: features.maps[position].mean(dim=(2, 3)),
    "summary": lambda features, position: features.summary(position),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Extraction:
    """The settings that decide the features of given images and weights.

    what: "pooled" [D], "map:INDEX" [C, H, W], "mean:INDEX" [C], the map pooled over space, or "summary:INDEX" [C], the
    summary token of a map (paper A.1).
    crop_pct: share of the shorter side that the centre crop keeps, None for that of the weights.
    precision: "fp32", or "bf16" and "fp16" under autocast. compiled: by torch.compile, which may round otherwise.
    """

    resolution: int
    crop_pct: float | None = None
    what: str = "pooled"
    precision: str = "fp32"
    compiled: bool = False


@dataclass(frozen=True)
class FeaturePart:
    """A part of a backbone's features, and its shape for one image."""

    kind: str  # "pooled", or one of PARTS_OF_A_MAP
    index: int | None  # of its map, from 0; None for "pooled"
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name as in Extraction.what, with an index from 0."""
        return self.kind if self.index is None else f"{self.kind}:{self.index}"

    def of(self, features: Features, maps: Sequence[int]) -> Tensor:
        """Return this part of features that hold the maps with these indices."""
        return features.pooled if self.index is None else PARTS_OF_A_MAP[self.kind](features, maps.index(self.index))


def each_features(
    backbone: Backbone,
    samples: Sequence[Sample],
    extraction: Extraction,
    parts: Sequence[str],
    device: torch.device,
    batch_size: int,
    progress: Progress,
    consume: Consume,
    *,
    start: int = 0,
) -> None:
    """Pass the parts of one batch after the other to `consume`, float32 on the CPU, from image `start` on.

    parts: names as in `Extraction.what`, whose own value does not count here; one forward computes them all.
    Raises UMTError if the backbone cannot take the resolution, or gives values that are not finite.
    """
    images = eval_images(samples, backbone.preprocess, extraction.resolution, extraction.crop_pct)
    compute = _forward([part_of(backbone, replace(extraction, what=name)) for name in parts], backbone)
    backbone.to(device).to(memory_format=torch.channels_last)  # halves the time of plain CNNs, costs others nothing
    backbone.eval()
    if extraction.compiled:
        compute = _compiled(compute, batch_size)
    first = start

    def checked(batch: Sequence[Tensor]) -> None:
        nonlocal first
        for values in batch:
            _check_finite(values, samples, first, backbone)
        first += len(batch[0])
        consume(batch)

    with _execution(extraction, device):
        each_batch(images, compute, device, batch_size, progress, checked, start=start)


def part_of(backbone: Backbone, extraction: Extraction) -> FeaturePart:
    """Return the part that an extraction names; UMTError if the backbone does not have it."""
    kind, _, text = extraction.what.partition(":")
    if kind == "pooled" and not text:
        return FeaturePart("pooled", None, (backbone.dim,))
    if kind not in PARTS_OF_A_MAP or not text.removeprefix("-").isdigit():
        known = ("pooled", *(f"{name}:INDEX" for name in PARTS_OF_A_MAP))
        raise unknown_name("part of the features", extraction.what, known)
    if not -backbone.depth <= int(text) < backbone.depth:
        raise BackboneError(f"{extraction.what}: backbone '{backbone.spec}' has the maps 0 to {backbone.depth - 1}")
    index = int(text) % backbone.depth
    width, side = backbone.channels[index], extraction.resolution // backbone.strides[index]
    shape = (width, side, side) if kind == "map" else (width,)
    return FeaturePart(kind, index, shape)


def eval_images(
    samples: Sequence[Sample], preprocess: Preprocess, resolution: int, crop_pct: float | None = None
) -> ImageSamples:
    """Return images as they are evaluated, uint8 [3, R, R]; UMTError if the backbone cannot take the resolution."""
    if resolution % preprocess.size_multiple:
        raise SizeError(
            f"resolution {resolution} is not a multiple of {preprocess.size_multiple}, which this backbone needs; "
            f"take {round(resolution / preprocess.size_multiple) * preprocess.size_multiple}"
        )
    return ImageSamples(samples, eval_pixels(preprocess, resolution, crop_pct or preprocess.crop_pct))


def run_over(
    images: ImageSamples,
    function: Callable[[Tensor], Tensor],
    device: torch.device,
    batch_size: int,
    progress: Progress,
) -> Tensor:
    """Return `function` of each image in [0, 1], in order, as float32 [N, ...] on the CPU."""
    outputs: list[Tensor] = []
    each_batch(images, lambda batch: [function(batch)], device, batch_size, progress, outputs.extend)
    return torch.cat(outputs)


@torch.no_grad()
def each_batch(
    images: ImageSamples,
    function: Forward,
    device: torch.device,
    batch_size: int,
    progress: Progress,
    consume: Consume,
    *,
    start: int = 0,
) -> None:
    """Pass the tensors of `function` of each batch in [0, 1] to `consume`, float32 on the CPU, from `start` on."""
    done, started = start, time.perf_counter()
    pinned = device.type == "cuda"

    def computed() -> Iterator[list[Tensor]]:
        for pixels in decoded_batches(images, batch_size, decoding_threads(device), start, pinned=pinned):
            batch = to_dtype(pixels.to(device, non_blocking=True), torch.float32, scale=True)
            yield [values.float() for values in function(batch)]

    for outputs in on_host(computed()):
        consume(outputs)
        done += len(outputs[0])
        progress(done, len(images), f"{(done - start) / (time.perf_counter() - started):.0f} img/s")


def _forward(parts: Sequence[FeaturePart], backbone: Backbone) -> Forward:
    """Return the function of images [B, 3, R, R] that computes these parts in one forward."""
    maps = sorted({part.index for part in parts if part.index is not None})

    def run(images: Tensor) -> list[Tensor]:
        features = backbone(images, maps=maps)
        return [part.of(features, maps) for part in parts]

    return run


@contextmanager
def _execution(extraction: Extraction, device: torch.device) -> Iterator[None]:
    """Set precision and compiler; one autocast around all batches, because it casts each weight once while it lasts."""
    if extraction.precision not in DTYPES:
        raise unknown_name("precision", extraction.precision, DTYPES)
    with ExitStack() as stack:
        if extraction.precision != "fp32":
            stack.enter_context(torch.autocast(device.type, DTYPES[extraction.precision]))
        if extraction.compiled and device.type == "cpu":
            import torch._inductor.config as inductor

            stack.enter_context(inductor.patch(freezing=True))  # weights as constants, packed for the CPU once
        yield


def _compiled(compute: Forward, batch_size: int) -> Forward:
    """Compile for one batch size; a shorter batch is filled up with its last image instead of compiled again."""
    compiled = torch.compile(compute, dynamic=False)

    def run(images: Tensor) -> list[Tensor]:
        filling = images[-1:].expand(batch_size - len(images), -1, -1, -1)
        return [values[: len(images)] for values in compiled(torch.cat([images, filling]))]

    return run


def _check_finite(batch: Tensor, samples: Sequence[Sample], first: int, backbone: Backbone) -> None:
    """Raise UMTError if a feature is not finite; the batch starts at image `first`."""
    bad = ~batch.flatten(1).isfinite().all(dim=1)
    if bad.any():
        raise NotFiniteError(
            f"{samples[first + int(bad.nonzero()[0])].image}: backbone '{backbone.spec}' gives features that are "
            f"not finite (so are {int(bad.sum())} of its batch of {len(batch)}); check its weights"
        )
