"""Fine-tuned classifiers that later jobs read: each lies in the cache, by everything that decides its weights."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.tasks.contract import Job
from benchmarks.tasks.finetune_settings import FinetuneSettings
from benchmarks.tasks.finetuning import classifier_of
from umt.errors import MissingFileError, WeightsError, WriteError, first_line
from umt.feature_cache.disk_cache import digest
from umt.feature_cache.key import NAME_DIGITS, feature_key
from umt.features import Extraction
from umt.files import atomic_file, missing, open_plain
from umt.training.classifier import Classifier

MODELS = "models"  # folder of the cache

log = logging.getLogger(__name__)


def model_path(job: Job[FinetuneSettings]) -> Path | None:
    """Return the place of the classifier that a job trains or reads, None without a cache; before any training."""
    if job.cache is None:
        return None
    extraction = Extraction(job.backbone.side(job.settings.resolution), job.settings.crop_pct)
    key = {
        "features": feature_key(job.backbone, job.dataset.training_samples, extraction, job.device),
        "settings": asdict(job.settings),
        "seed": job.seed,
    }
    return job.cache / MODELS / f"{digest(key, NAME_DIGITS)}.pth"


def keep_model(model: Classifier, path: Path) -> None:
    """Write the weights of a classifier; a disk that does not take them costs a line in the log, and no training."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            torch.save(model.state_dict(), file)
    except (OSError, WriteError) as error:
        log.warning("%s; the fine-tuned model is not kept, and no job of its robustness can read it", error)


def read_model(job: Job[FinetuneSettings]) -> Classifier:
    """Return the fine-tuned classifier of a job's backbone, settings and seed; UMTError if nobody has kept it."""
    path = model_path(job)
    if path is None or missing(path):
        raise MissingFileError(
            f"{path or '--cache'}: no fine-tuned model of backbone '{job.backbone.spec}' (seed {job.seed}) is there; "
            "run imagenet_finetune by the same protocol with this --cache, without its result if that is stored"
        )
    model, _ = classifier_of(job.backbone, len(job.dataset.class_names), job.settings, job.seed)
    try:
        with open_plain(path) as file:
            model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file raises any kind
        raise WeightsError(
            f"{path}: not the fine-tuned model of backbone '{job.backbone.spec}' ({first_line(error)}); remove it, and "
            "run imagenet_finetune again"
        ) from error
    return model.to(job.device).eval()
