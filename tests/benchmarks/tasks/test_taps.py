"""Table 4: a student through its backbone and through each head, fine-tuned and linear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.tasks.contract import Job
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.distill.distiller import Distiller
from umt.distill.recipe import load_recipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.train import save_student

TAPS = ("", "#cls", "#mae", "#dino")
SHORT = {"epochs": 1.0, "warmup_epochs": 0.4, "batch": 4, "device_batch": 4, "resolution": 64}
CHANGES = {"finegrained_finetune": SHORT, "finegrained_linear": {}}
MakeJob = Callable[..., Job]


@pytest.fixture(scope="module", params=["timm:test_resnet", "timm:test_vit?img_size=64"], ids=["cnn", "vit"])
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a student with three spaces of different widths, its weights random."""
    path = tmp_path_factory.mktemp("student") / "ckpt.pth"
    kinds = {"cls": "classification", "mae": "mae", "dino": "dino"}
    teachers = [{"name": name, "kind": kind, "backbone": f"timm:t-{name}"} for name, kind in kinds.items()]
    changes = [f"student={request.param}", f"teachers={teachers}", "interaction.groups=8", "interaction.heads=4"]
    recipe = load_recipe("mini-cnn-pypi", changes)
    torch.manual_seed(0)
    shapes = [SpaceShape(name, width, width + 8) for name, width in zip(kinds, (24, 32, 40), strict=True)]
    save_student(path, recipe, Distiller(recipe, create_backbone(recipe.student, pretrained=False), shapes), {}, {})
    return path


@pytest.mark.parametrize("task", CHANGES)
@pytest.mark.parametrize("tap", TAPS)
def test_every_tap_is_a_row(
    make_job: MakeJob, make_dataset: Callable[..., Dataset], student: Path, tap: str, task: str
) -> None:
    job = make_job(task, make_dataset("cub"), "mini", f"{student}{tap}", **CHANGES[task])
    before = {name: value.clone() for name, value in job.backbone.named_parameters()}
    outcome = get_task(task).run(job)
    assert 0 <= outcome.metrics["accuracy"] <= 100
    changed = {name for name, value in job.backbone.named_parameters() if not torch.equal(value, before[name])}
    if task == "finegrained_linear":
        assert not changed
    else:
        assert any(name.startswith("student." if tap else "model.") for name in changed)
        assert any("cross_space" in name for name in changed) == bool(tap)


@pytest.mark.parametrize("tap", TAPS[1:])
def test_the_feature_is_the_pooled_model_token_of_the_space(student: Path, tap: str) -> None:
    """Widths are the teachers'; it depends on the image, and no two spaces give the same."""
    backbone = create_backbone(f"{student}{tap}").eval()
    features = backbone(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), maps=())
    assert features.pooled.shape == (2, {"#cls": 24, "#mae": 32, "#dino": 40}[tap])
    assert backbone.spaces.model_token is not None
    assert not torch.equal(features.pooled[0], features.pooled[1])
