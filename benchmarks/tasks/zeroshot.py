"""Zero-shot classification (Radford et al. 2021): an image belongs to the class whose name is most like it.

Names are encoded by the text tower of the open_clip model whose space the pooled feature lives in: the backbone's own
tower, or the CLIP teacher's for the space of a student (`ckpt.pth#clip`), whose model token learnt its image encoding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from torch.nn import functional as F

from benchmarks.tasks.accuracy import CLASSES, of_classes
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.workload import Workload
from umt.backbones import Backbone
from umt.backbones.adapters.open_clip_text import class_directions
from umt.backbones.checkpoint import is_checkpoint, read_checkpoint
from umt.backbones.spec import parse_spec
from umt.errors import BackboneError, DeclarationError


@dataclass(frozen=True)
class ZeroShotSettings:
    """Everything that changes the number."""

    resolution: int | None  # pixels; null for the size of the weights
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    templates: tuple[str, ...] | None  # sentences around the name of a class, `{}`; null for those of the data set
    precision: str = "fp32"  # precision of the image features; "bf16", or "auto" for bf16 if the device is faster in it


def run(job: Job[ZeroShotSettings]) -> Outcome:
    """Score classes by cosine similarity to the image; the mean over templates stands for a class."""
    settings = job.settings
    language = language_of(job.backbone)
    names = job.dataset.spoken_names
    templates = sentences(settings.templates or job.dataset.prompts)
    directions = class_directions(language, names, templates, job.device, job.progress)
    resolution = settings.resolution or job.backbone.preprocess.size
    samples = job.dataset.reported_samples
    features, labels = frozen_features(job, samples, resolution, settings.crop_pct, settings.precision)
    images = F.normalize(torch.from_numpy(features).to(job.device), dim=1)
    scores = (images @ directions.T).cpu().numpy()
    predictions = scores.argmax(axis=1)
    return Outcome(
        metrics=of_classes(scores, labels),
        details={
            "language": language,
            "templates": {"count": len(templates), "hash": _hash(templates)},
            "class_names": {"count": len(names), "hash": _hash(names)},
        },
        raw={"scores": scores, "predictions": predictions, "labels": labels},
    )


def sentences(declared: Sequence[str]) -> list[str]:
    """Return templates with `{}`, the lists of open_clip written out; UMTError for a list that it does not have."""
    written: list[str] = []
    for text in declared:
        if "{}" in text:
            written.append(text)
        elif text.endswith("_TEMPLATES") and hasattr(open_clip, text):
            written += [template("{}") for template in getattr(open_clip, text)]
        else:
            raise DeclarationError(f"template '{text}' has no {{}} for the class, nor is it a list of open_clip")
    return written


def language_of(backbone: Backbone) -> str:
    """Return the open_clip model in whose space a backbone's feature lies; UMTError for a backbone without texts."""
    if backbone.language:
        return backbone.language
    spec = parse_spec(backbone.spec)
    student = spec.is_file and is_checkpoint(Path(spec.name))
    spaces = read_checkpoint(Path(spec.name)).spaces if student else ()
    heads = [f"{spec.name}#{space.name}" for space in spaces if space.kind == "clip"]
    remedy = " or ".join(heads) or "an open_clip model, or a student's space of an open_clip teacher (ckpt.pth#clip)"
    raise BackboneError(
        f"backbone '{backbone.spec}' has no space in which images and texts can be compared; take {remedy}"
    )


def _hash(texts: Sequence[str]) -> str:
    """Return twelve hex digits over texts in their order."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:12]


def workload(settings: ZeroShotSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of the reported images; the names of classes take a moment."""
    return frozen_work(sizes, settings.resolution, settings.crop_pct, settings.precision, splits=("reported",))


TASK = Task(
    name="zeroshot",
    about="the class whose name is most similar to the image, in the space of an open_clip model",
    settings=ZeroShotSettings,
    metrics=CLASSES,
    run=run,
    workload=workload,
    trains=False,
    seeded=False,
)
