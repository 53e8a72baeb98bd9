"""JPEG files to frozen features: against the forward alone, and against timm's transform, model and a DataLoader."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from PIL import Image
from timm.data import create_transform
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.perf.distilling import pictures
from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from umt.backbones import Backbone, create_backbone
from umt.data.contract import Sample
from umt.features import Extraction, each_features
from umt.training.precision import has_fast_bf16, pick_precision

SIDE = 224
LIMITS = {"resnet50": 1.15, "vit_base_patch16_224": 1.05}  # times the forward alone
DINOV2_PARTS = ("mean:-1", "summary:-4", "summary:-3", "summary:-2", "summary:-1")
PEERS = {"fp32": 5.0, "bf16": 1.6}  # speed-up over the peer in that precision, if bf16 is fast


@dataclass(frozen=True)
class FeatureSetting:
    """Images to extract from, few on a CPU."""

    device: torch.device
    samples: Sequence[Sample]
    batch: int
    repeats: int

    @classmethod
    def on(cls, device: torch.device, folder: Path) -> FeatureSetting:
        gpu = device.type == "cuda"
        images = pictures(folder / "pictures", 2048 if gpu else 16)
        samples = [Sample(images.path(index), 0) for index in range(len(images))]
        return cls(device, samples, batch=256 if gpu else 8, repeats=3 if gpu else 5)

    @property
    def extraction(self) -> Extraction:
        return Extraction(SIDE, precision=pick_precision("auto", self.device))

    def autocast(self, precision: str) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16")


def measure(device: torch.device) -> list[PerfRow]:
    """Measure ResNet-50 (ViT-B): at most 1.15 (1.05) of the forward; >= 5 and 1.6 times the peer with fast bf16."""
    with tempfile.TemporaryDirectory() as folder:
        setting = FeatureSetting.on(device, Path(folder))
        return [*(row for name in LIMITS for row in rows(name, setting)), parts_row(setting)]


def parts_row(setting: FeatureSetting) -> PerfRow:
    """Compare a pass for the five parts of `dinov2_linear` with a pass for the pooled feature."""
    backbone = create_backbone("timm:vit_small_patch16_224?pretrained=false").to(setting.device)
    pooled, all_parts = (_ours(backbone, setting, parts) for parts in (("pooled",), DINOV2_PARTS))
    seconds = interleaved(pooled, all_parts, repeats=setting.repeats, clock=clock_of(setting.device))
    alone, together = (1000 * value / len(setting.samples) for value in seconds)
    job = f"JPEG to the parts of dinov2_linear, vit_small_patch16_224, {SIDE} px, {setting.extraction.precision}"
    return PerfRow(job, "to the pooled feature alone", alone, together, limit=1 / 1.1, unit="ms/image")


def rows(name: str, setting: FeatureSetting) -> list[PerfRow]:
    """Compare the three, with the largest difference of features to the peer's in fp32 over the largest feature."""
    backbone = create_backbone(f"timm:{name}?pretrained=false").to(setting.device)
    model = timm.create_model(name, num_classes=0).to(setting.device).eval()
    model.load_state_dict(backbone.model.state_dict())  # type: ignore[union-attr]
    fast = has_fast_bf16(setting.device)
    functions = [_ours(backbone, setting), _forward_alone(backbone, setting)]
    functions += [_peer(model, backbone, setting, precision) for precision in (PEERS if fast else ("fp32",))]
    ours, expected = functions[0](), functions[2]()
    note = f"max difference {float((ours - expected).abs().max() / expected.abs().max()):.0e}"
    seconds = interleaved(*functions, repeats=setting.repeats, clock=clock_of(setting.device))
    milliseconds = [1000 * value / len(setting.samples) for value in seconds]
    job = f"JPEG to features, {name}, {SIDE} px, {setting.extraction.precision}"
    perf_rows = [
        PerfRow(job, "its bare forward", milliseconds[1], milliseconds[0], limit=1 / LIMITS[name], unit="ms/image")
    ]
    for (precision, limit), peer in zip(PEERS.items(), milliseconds[2:], strict=False):
        peer_name = f"timm and a DataLoader, {precision}"
        perf_rows.append(PerfRow(job, peer_name, peer, milliseconds[0], limit if fast else 1.0, note, "ms/image"))
    return perf_rows


def _ours(backbone: Backbone, setting: FeatureSetting, parts: Sequence[str] = ("pooled",)) -> Callable[[], Tensor]:
    def run() -> Tensor:
        batches: list[Tensor] = []
        each_features(
            backbone,
            setting.samples,
            setting.extraction,
            parts,
            setting.device,
            setting.batch,
            _silent,
            batches.extend,
        )
        return torch.cat(batches[:: len(parts)])

    return run


def _forward_alone(backbone: Backbone, setting: FeatureSetting) -> Callable[[], Tensor]:
    """Return the same model, in the same precision and memory format, on images in memory."""
    images = torch.rand(setting.batch, 3, SIDE, SIDE, device=setting.device)

    @torch.no_grad()
    def run() -> Tensor:
        with setting.autocast(setting.extraction.precision):
            steps = len(setting.samples) // setting.batch
            return torch.cat([backbone(images, maps=()).pooled.float().cpu() for _ in range(steps)])

    return run


def _peer(model: nn.Module, backbone: Backbone, setting: FeatureSetting, precision: str) -> Callable[[], Tensor]:
    """Return the code of timm's documentation, in one process on a CPU, because the clock would not count workers."""
    preprocess = backbone.preprocess
    transform = create_transform(
        (3, SIDE, SIDE),
        interpolation=preprocess.interpolation,
        mean=preprocess.mean,
        std=preprocess.std,
        crop_pct=preprocess.crop_pct,
    )
    workers = 8 if setting.device.type == "cuda" else 0
    loader = DataLoader(_Files(setting.samples, transform), setting.batch, num_workers=workers, pin_memory=workers > 0)

    @torch.no_grad()
    def run() -> Tensor:
        with setting.autocast(precision):
            return torch.cat([model(images.to(setting.device)).float().cpu() for images in loader])

    return run


class _Files(Dataset[Tensor]):
    def __init__(self, samples: Sequence[Sample], transform: Callable[[Image.Image], Tensor]) -> None:
        self.samples, self.transform = samples, transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.samples[index].image) as image:
            return self.transform(image.convert("RGB"))


def _silent(done: int, total: int, text: str) -> None:
    pass
