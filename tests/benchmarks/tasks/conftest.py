"""Jobs of the classification tasks on small images whose class is their colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.data.contract import Dataset, Sample
from umt.data.registry import dataset_info, find_dataset

COLOURS = ((200, 60, 60), (60, 200, 60), (60, 60, 200))
MakeDataset = Callable[..., Dataset]
MakeJob = Callable[..., Job]


@pytest.fixture
def make_dataset(tmp_path: Path) -> MakeDataset:
    """A data set under the name and the splits of a known one, `count` noisy images of each colour in each split."""

    def make(name: str, count: int = 4, side: int = 32) -> Dataset:
        rng = np.random.default_rng(0)

        def read(root: Path, split: str) -> list[Sample]:
            samples = []
            for index in range(count * len(COLOURS)):
                label = index % len(COLOURS)
                path = root / f"{split}_{index}.png"
                if not path.is_file():
                    noise = rng.integers(-55, 55, (side, side, 3))
                    Image.fromarray((noise + COLOURS[label]).astype(np.uint8)).save(path)
                samples.append(Sample(path, label))
            return samples

        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        info = replace(dataset_info(name), read=read, class_names=lambda root: ["red", "green", "blue"])
        return Dataset(info, folder)

    return make


@pytest.fixture
def photographs(real_data: Path) -> Dataset:
    """Eight categories of the real Caltech-101: ten images each to train, and up to ten to test."""
    found = find_dataset("caltech101", real_data)

    def read(root: Path, split: str) -> list[Sample]:
        few = [sample for sample in found.info.read(root, split) if int(str(sample.target)) < 8]
        return few[:: 3 if split == "train" else 2]

    names = found.class_names[:8]
    return Dataset(replace(found.info, read=read, class_names=lambda root: names), found.root)


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """A job by a shipped protocol; keywords change its settings."""

    def make(
        task: str,
        dataset: Dataset,
        protocol: str = "paper",
        spec: str = "timm:test_resnet?pretrained=false",
        seed: int = 0,
        **changes: object,
    ) -> Job:
        settings = load_protocol(task, protocol, get_task(task).settings).settings
        return Job(
            backbone=create_backbone(spec),
            dataset=dataset,
            settings=replace(settings, **changes),
            seed=seed,
            device=torch.device("cpu"),
            work_dir=tmp_path / f"work-{np.random.default_rng().integers(2**62)}",
            progress=lambda done, total, text: None,
        )

    return make
