"""The size of the values of single items beside a result, against the same values as text."""

from __future__ import annotations

import csv
import io

import numpy as np
import torch

from benchmarks.perf.row import PerfRow
from benchmarks.tasks.items import areas_of

IMAGENET = 50_000
ADE20K, CLASSES, OCCURRING, PIXELS = 2_000, 150, 20, 512 * 683  # images; classes, and those of an image
SMALLER = 2  # times, at least


def measure(_: torch.device) -> list[PerfRow]:
    """Measure the .npz of an ImageNet and of an ADE20K result of random predictions: at most half of the text."""
    rng = np.random.default_rng(0)
    return [_row("ImageNet", IMAGENET, _classified(rng)), _row("ADE20K", ADE20K, _segmented(rng))]


def _classified(rng: np.random.Generator) -> dict[str, np.ndarray]:
    labels = np.repeat(np.arange(1000), IMAGENET // 1000)
    wrong = rng.random(IMAGENET) > 0.8
    return {
        "image": np.array([f"val/n{label:08}/ILSVRC2012_val_{index:08}.JPEG" for index, label in enumerate(labels)]),
        "labels": labels,
        "predictions": np.where(wrong, rng.integers(0, 1000, IMAGENET), labels),
        "losses": rng.exponential(size=IMAGENET).astype(np.float32),
    }


def _segmented(rng: np.random.Generator) -> dict[str, np.ndarray]:
    def counts() -> list[np.ndarray]:
        occurring = rng.choice(CLASSES, OCCURRING, replace=False)
        truth, prediction = np.zeros((2, CLASSES), dtype=np.int64)
        truth[occurring] = rng.multinomial(PIXELS, rng.dirichlet(np.ones(OCCURRING)))
        prediction[occurring] = rng.multinomial(PIXELS, rng.dirichlet(np.ones(OCCURRING)))
        return [(np.minimum(truth, prediction) * rng.random(CLASSES)).astype(np.int64), prediction, truth]

    names = [f"images/validation/ADE_val_{index:08}.jpg" for index in range(ADE20K)]
    return {"image": np.array(names), "areas": areas_of([counts() for _ in range(ADE20K)])}


def _row(title: str, images: int, raw: dict[str, np.ndarray]) -> PerfRow:
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **raw)
    text, ours = sum(_text_bytes(values) for values in raw.values()), packed.getbuffer().nbytes
    note = f"{ours / images:.0f} bytes an image"
    return PerfRow(f"values of {images} images of {title}", "text", text / 1e6, ours / 1e6, SMALLER, note, "MB")


def _text_bytes(values: np.ndarray) -> int:
    text = io.StringIO()
    csv.writer(text).writerows(values.reshape(len(values), -1).tolist())
    return len(text.getvalue())
