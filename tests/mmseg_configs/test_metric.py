"""IoU against scikit-learn and against mmseg's own table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample
from sklearn.metrics import accuracy_score, jaccard_score, recall_score

from mmseg_configs import metric as module
from mmseg_configs.metric import ClassIoU

CLASSES = 6  # the last occurs nowhere


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray]:
    """Four images: predictions, and truth of which a tenth is ignored."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES - 1, (4, 20, 30))
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, CLASSES - 1, truth.shape))
    return predicted, np.where(rng.random(truth.shape) < 0.1, 255, truth)


def evaluate(metric: IoUMetric, predicted: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    metric.dataset_meta = {"classes": [str(index) for index in range(CLASSES)]}
    for one, other in zip(predicted, truth, strict=True):
        sample = SegDataSample()
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(one)[None])
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(other)[None])
        metric.process({}, [sample.to_dict()])
    return metric.compute_metrics(metric.results)


def test_equal_to_scikit_learn(maps: tuple[np.ndarray, np.ndarray]) -> None:
    values = evaluate(ClassIoU(), *maps)
    predicted, truth = (part[maps[1] != 255] for part in maps)
    iou = jaccard_score(truth, predicted, average=None)
    assert values["class_iou"] == pytest.approx([*(100 * iou), None])
    assert values["miou"] == pytest.approx(100 * iou.mean())
    assert values["macc"] == pytest.approx(100 * recall_score(truth, predicted, average="macro"))
    assert values["aacc"] == pytest.approx(100 * accuracy_score(truth, predicted))


def test_equal_to_mmseg_up_to_its_rounding(maps: tuple[np.ndarray, np.ndarray]) -> None:
    ours, theirs = evaluate(ClassIoU(), *maps), evaluate(IoUMetric(prefix="iou"), *maps)
    for name in ("mIoU", "mAcc", "aAcc"):
        assert theirs[name] == pytest.approx(ours[name.lower()], abs=0.006)


def test_counts_beyond_float32_are_exact() -> None:
    """2^24 + 1 is no float32: a sum in float32 would lose the single pixel."""
    image = [torch.tensor([value] + [0.0] * (CLASSES - 1)) for value in (2.0**24, 2.0**24, 2.0**24, 2.0**24)]
    pixel = [torch.eye(CLASSES)[classes].sum(dim=0) for classes in ([], [0, 1], [1], [0])]
    values = ClassIoU().compute_metrics([tuple(image), tuple(pixel)])
    assert values["class_iou"][:2] == pytest.approx([100 * 2**24 / (2**24 + 1), 0], rel=1e-12)


@pytest.mark.parametrize("counting", ["compiled", "torch"])
def test_areas_are_mmsegs_in_whole_numbers(counting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with predictions and labels that are no class: mmseg leaves them out."""
    if counting == "torch":
        monkeypatch.setattr(module, "kernel", lambda: None)
    elif module.kernel() is None:
        pytest.skip("numba is not installed")
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randint(0, CLASSES + 2, (90, 70), generator=generator).repeat_interleave(3, dim=1)
    truth = torch.randint(0, CLASSES + 1, (90, 70), generator=generator).repeat_interleave(3, dim=1)
    for labels in (torch.where(truth == 1, 255, truth), torch.full_like(truth, 255)):
        theirs = IoUMetric.intersect_and_union(predicted, labels, CLASSES, 255)
        ours = ClassIoU.intersect_and_union(predicted, labels, CLASSES, 255)
        assert all(area.dtype == torch.int64 for area in ours)
        assert [area.tolist() for area in ours] == [area.tolist() for area in theirs]
