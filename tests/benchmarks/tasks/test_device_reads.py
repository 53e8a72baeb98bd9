"""Reads of device values in the steps of every training: a GPU waits for each of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.runner import loops
from mmengine.runner.loops import IterBasedTrainLoop
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import umt
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job
from benchmarks.tasks.registry import get_task
from mmseg_configs import metric
from mmseg_configs.fused import map as fused_map
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.data.sets.ade20k import write_mini as write_ade20k
from umt.data.sets.nyuv2 import write_mini as write_nyuv2
from umt.training.hooks.finite import LOOK_EVERY
from umt.training.hooks.progress import ProgressHook
from umt.training.hooks.saving import ResumeHook

CALLS = {"tolist", "item", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__", "__contains__", "nonzero"}
OPERATORS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "bincount"}
STEPS = 12  # the look after ten is among them, and the end is not
ON_THE_CPU = ("torch/optim/", "torch/utils/data/")  # state that optimisers and loaders hold on the CPU

SMALL: dict[str, dict[str, Any]] = {
    "ade20k_linear": {"scale": (256, 96), "crop": 64},
    "nyuv2_depth": {
        "dropout": 0.0, "channels": 8, "post_process_channels": (4, 4, 4, 4), "size": (48, 64), "test_size": (48, 64),
        "crop": (48, 48), "test_window": 48, "test_stride": 8,
    },
}  # fmt: skip
BACKBONES = {
    "ade20k_linear": "timm:test_resnet?pretrained=false",
    "nyuv2_depth": "timm:vit_tiny_patch16_224?pretrained=false&img_size=48&depth=4&embed_dim=24&num_heads=2",
}

Reads = dict[int, Counter[str]]  # places by iteration


class Calls(TorchFunctionMode):
    """Notes calls that need a value: those of Python, which the dispatcher does not see for tensors of the CPU."""

    def __init__(self, note: Callable[[], None]) -> None:
        super().__init__()
        self.note = note

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in CALLS:
            self.note()
        return func(*args, **(kwargs or {}))


class Operators(TorchDispatchMode):
    """Notes operators that need a value, whoever calls them, and selections by a mask."""

    def __init__(self, note: Callable[[], None]) -> None:
        super().__init__()
        self.note = note

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.partition(".")[0]
        masks = name in ("index", "index_put_", "index_put") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if name in OPERATORS or masks:
            self.note()
        return func(*args, **(kwargs or {}))


def place() -> str | None:
    """The project's line or, without one, the package's that reads; None for values that are on the CPU anyway."""
    root, frame, first = str(Path(umt.__file__).parents[1]), sys._getframe(2), None
    while frame.f_back:
        file = frame.f_code.co_filename
        if any(part in file for part in ON_THE_CPU):
            return None
        first = first or f"{file}:{frame.f_lineno}"
        if file.startswith(root) and "tests/" not in file and "site-packages" not in file:
            return f"{file.removeprefix(root)[1:]}:{frame.f_lineno}"
        frame = frame.f_back
    return first


@contextmanager
def noted(found: Reads, step: int) -> Iterator[None]:
    """Notes the places that read in a step."""
    places = found[step] = Counter()

    def note() -> None:
        if where := place():
            places[where] += 1

    with Calls(note), Operators(note):
        yield


@pytest.fixture
def tested_reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """The reads in each batch of an evaluation, from the forward to the last hook."""
    found: Reads = {}
    run = loops.TestLoop.run_iter

    def watched(loop: loops.TestLoop, index: int, batch: Any) -> None:
        with noted(found, index):
            run(loop, index, batch)

    monkeypatch.setattr(loops.TestLoop, "run_iter", watched)
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """The reads in each iteration, from the forward to the last hook, without progress, which the clock asks for."""
    found: Reads = {}
    run = IterBasedTrainLoop.run_iter

    def watched(loop: IterBasedTrainLoop, batch: Any) -> None:
        with noted(found, loop._iter + 1):
            run(loop, batch)

    monkeypatch.setattr(IterBasedTrainLoop, "run_iter", watched)
    monkeypatch.setattr(ProgressHook, "after_train_iter", lambda *_, **__: None)
    monkeypatch.setattr(ResumeHook, "after_train_iter", lambda *_, **__: None)  # the last step's save reads everything
    return found


def dense_job(task: str, root: Path, work_dir: Path) -> Job:
    if task == "ade20k_linear":
        write_ade20k(root, (3, 2))
    else:
        write_nyuv2(root, ((2, 1), (1, 1)))
    settings = load_protocol(task, "paper", get_task(task).settings).settings
    short = {"iterations": STEPS, "warmup": 1, "batch": 2, "bn_batch": 2, "best_on_test": None, **SMALL[task]}
    return Job(
        create_backbone(BACKBONES[task]),
        Dataset(dataset_info(task.partition("_")[0]), root),
        replace(settings, **short),
        0,
        torch.device("cpu"),
        work_dir,
        lambda done, total, text: None,
    )


def distilled(folder: Path, image_folder: Callable[..., Path]) -> None:
    recipe = {
        "about": "One random teacher",
        "student": "timm:test_resnet",
        "teachers": [{"name": "a", "objective": "classification", "backbone": "timm:test_resnet?pretrained=false"}],
        "interaction": {"rounds": 1, "groups": 8},
        "views": {"size": 32},
        "training": {
            "epochs": STEPS, "batch": 4, "device_batch": 4, "lr": 1.0e-3, "warmup_epochs": 1, "weight_decay": 0.05,
            "betas": [0.9, 0.95], "clip_norm": 1.0, "precision": "fp32",
        },
    }  # fmt: skip
    (folder / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    images = image_folder(folder / "images", classes=1, train=4, val=0)
    umt.distill(folder / "tiny.yaml", images=images, out=folder / "out", device="cpu", quiet=True)


@pytest.fixture
def train(
    make_job: Callable[..., Job],
    make_dataset: Callable[..., Dataset],
    image_folder: Callable[..., Path],
    tmp_path: Path,
) -> Callable[[str], None]:
    """Runs a training of a dozen steps."""

    def run(name: str) -> None:
        if name == "distill":
            distilled(tmp_path, image_folder)
        elif name in ("ade20k_linear", "nyuv2_depth"):
            get_task(name).run(dense_job(name, tmp_path / name, tmp_path / "work"))
        elif name == "dinov2_linear":
            get_task(name).run(make_job(name, make_dataset("cub"), resolution=32, steps=STEPS, batch=12))
        elif name == "attentive":
            get_task(name).run(make_job(name, make_dataset("cub"), "mini", resolution=32, epochs=STEPS))
        else:
            changes = {"epochs": STEPS, "batch": 12, "device_batch": 12, "resolution": 32, "clip_norm": 1.0}
            dataset = make_dataset("imagenet" if name == "imagenet_finetune" else "cub")
            get_task(name).run(make_job(name, dataset, **changes))

    return run


TRAININGS = (
    "imagenet_finetune", "finegrained_finetune", "dinov2_linear", "attentive", "ade20k_linear", "nyuv2_depth",
    "distill",
)  # fmt: skip


@pytest.mark.parametrize("name", TRAININGS)
def test_no_step_reads_a_value_of_the_device(train: Callable[[str], None], reads: Reads, name: str) -> None:
    """But at the interval of looks and lines, where a GPU's values are read an iteration later."""
    train(name)
    assert sorted(reads) == list(range(1, STEPS + 1))
    assert reads[LOOK_EVERY], "the look itself is seen"
    for step, places in reads.items():
        if step != LOOK_EVERY:
            assert not places, f"step {step}"
    hooks = {place.partition(":")[0] for place in reads[LOOK_EVERY]}
    assert hooks <= {"umt/training/hooks/finite.py", "umt/training/hooks/curves.py"}


@pytest.mark.parametrize("name", ["ade20k_linear", "nyuv2_depth"])
def test_no_tested_image_reads_a_value_of_the_device(
    train: Callable[[str], None], tested_reads: Reads, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The values of all images are read together after the last."""
    for module in (fused_map, metric):
        monkeypatch.setattr(module, "kernel", lambda: None)  # compiled loops are for the CPU alone
    train(name)
    assert tested_reads == {0: Counter(), 1: Counter()}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_is_not_waited_for(
    make_job: Callable[..., Job], make_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch raises an error at any wait in a step, but for the first ones, in which it sets itself up."""
    run, steps = IterBasedTrainLoop.run_iter, []

    def watched(loop: IterBasedTrainLoop, batch: Any) -> None:
        steps.append(loop._iter + 1)
        quiet = 2 < steps[-1] < STEPS and steps[-1] not in (LOOK_EVERY, LOOK_EVERY + 1)
        torch.cuda.set_sync_debug_mode("error" if quiet else "default")
        try:
            run(loop, batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(IterBasedTrainLoop, "run_iter", watched)
    monkeypatch.setattr(ProgressHook, "after_train_iter", lambda *_, **__: None)
    changes = {"epochs": STEPS, "batch": 12, "device_batch": 12, "resolution": 32, "clip_norm": 1.0}
    job = make_job("imagenet_finetune", make_dataset("imagenet"), **changes)
    get_task("imagenet_finetune").run(replace(job, device=torch.device("cuda"), backbone=job.backbone.to("cuda")))
    assert steps == list(range(1, STEPS + 1))
