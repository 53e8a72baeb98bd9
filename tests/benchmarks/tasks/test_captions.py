"""Image-text retrieval: recalls by full rankings in float64, encodings by open_clip, and backbones without texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import image_transform
from PIL import Image
from torch import nn
from torch.nn import functional as F

from benchmarks.scores import scores_of
from benchmarks.tasks import captions
from benchmarks.tasks.captions import TASK, caption_recalls
from benchmarks.tasks.contract import Job
from umt.data.contract import Dataset
from umt.data.mini import write_set
from umt.data.registry import find_dataset
from umt.errors import UMTError

MakeJob = Callable[..., Job]
CONFIG = {
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def flickr(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    write_set("flickr30k", root)
    return find_dataset("flickr30k", root)


@pytest.fixture(scope="module")
def clip() -> nn.Module:
    """A stand-in for CLIP: both towers small and random, the tokenizer the real one."""
    torch.manual_seed(1)
    return open_clip.create_model("ViT-B-32", **CONFIG).eval()


def expected(images: np.ndarray, texts: np.ndarray, owners: np.ndarray) -> dict[str, float]:
    """Rank everything, one query after the other."""
    recalls = {}
    for k in (1, 5, 10):
        of_texts = [owner in np.argsort(-(images @ text))[:k] for text, owner in zip(texts, owners, strict=True)]
        of_images = [index in owners[np.argsort(-(texts @ image))[:k]] for index, image in enumerate(images)]
        recalls |= {f"image_recall_at_{k}": 100 * np.mean(of_texts), f"text_recall_at_{k}": 100 * np.mean(of_images)}
    return recalls


@pytest.mark.parametrize("queries", [7, 1024])
def test_recalls_are_those_of_full_rankings(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images have one to seven captions each."""
    monkeypatch.setattr(captions, "QUERIES", queries)
    generator = torch.Generator().manual_seed(0)
    owners = torch.arange(60).repeat_interleave(torch.randint(1, 8, (60,), generator=generator))
    images = F.normalize(torch.randn(60, 12, generator=generator, dtype=torch.float64))
    texts = F.normalize(images[owners] + torch.randn(len(owners), 12, generator=generator) / 2)
    values = caption_recalls(images, texts, owners)
    truth = expected(images.numpy(), texts.numpy(), owners.numpy())
    assert {name: recalls.mean() for name, recalls in values.items()} == pytest.approx(truth, rel=1e-12)
    assert truth["image_recall_at_1"] not in (0, 100)


def test_a_job_encodes_as_open_clip_does(
    flickr: Dataset, clip: nn.Module, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umt.backbones.adapters.open_clip_text.TEXTS_AT_ONCE", 7)
    weights = tmp_path / "clip.pth"
    torch.save(clip.state_dict(), weights)
    options = "&".join(f"{name}={json.dumps(value)}" for name, value in CONFIG.items())
    outcome = TASK.run(make_job(TASK.name, flickr, spec=f"open_clip:ViT-B-32?{options}&weights={weights}"))
    tokenizer = open_clip.get_tokenizer("ViT-B-32", context_length=24)
    transform = image_transform(32, is_train=False)
    with torch.no_grad():
        pixels = torch.stack([transform(Image.open(sample.image)) for sample in flickr.reported_samples])
        images = clip.encode_image(pixels, normalize=True).double().numpy()
        texts = clip.encode_text(tokenizer([text for each in flickr.captions for text in each]), normalize=True)
    owners = np.repeat(np.arange(12), 5)
    assert outcome.metrics == pytest.approx(expected(images, texts.double().numpy(), owners))
    assert outcome.details["captions"] == 60
    for name in ("image_recall_at_5", "text_recall_at_5"):
        [scores] = scores_of(name, outcome.raw).values()
        assert scores.over(np.ones((12, 1))).item() == pytest.approx(outcome.metrics[name])


def test_a_backbone_without_texts_says_so_in_a_line(flickr: Dataset, make_job: MakeJob) -> None:
    with pytest.raises(
        UMTError, match="has no space in which images and texts can be compared; take an open_clip model"
    ):
        TASK.run(make_job(TASK.name, flickr))
