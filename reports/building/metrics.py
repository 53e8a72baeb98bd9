"""Metrics as tables show them: label and decimals as in the paper, unit and direction as the task declares them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.results import Result


@dataclass(frozen=True)
class ShownMetric:
    """Presentation of a metric; `decimals` are those of the paper's tables."""

    label: str
    unit: str = "%"
    higher_is_better: bool = True
    decimals: int = 1


METRICS = {
    "top1": ShownMetric("top-1"),
    "top5": ShownMetric("top-5"),
    "accuracy": ShownMetric("acc."),
    "mean_per_class": ShownMetric("mean per-class acc."),
    "miou": ShownMetric("mIoU"),
    "macc": ShownMetric("mean acc."),
    "aacc": ShownMetric("pixel acc."),
    "rmse": ShownMetric("RMSE", "m", higher_is_better=False, decimals=3),
    "rmse_pooled": ShownMetric("pooled RMSE", "m", higher_is_better=False, decimals=3),
    "absrel": ShownMetric("AbsRel", "", higher_is_better=False, decimals=3),
    "delta1": ShownMetric("delta 1", "", decimals=3),
    "pck": ShownMetric("PCK"),
    "pck_per_image": ShownMetric("PCK per image"),
    "pck_per_point": ShownMetric("PCK per point"),
    "recall_3d": ShownMetric("recall in space"),
    "recall_2d": ShownMetric("recall in the image"),
    "map": ShownMetric("mAP"),
    "map_11": ShownMetric("11-point mAP"),
    "recall_at_1": ShownMetric("R@1"),
    "recall_at_5": ShownMetric("R@5"),
    "recall_at_10": ShownMetric("R@10"),
    "image_recall_at_1": ShownMetric("image R@1"),
    "image_recall_at_5": ShownMetric("image R@5"),
    "image_recall_at_10": ShownMetric("image R@10"),
    "text_recall_at_1": ShownMetric("text R@1"),
    "text_recall_at_5": ShownMetric("text R@5"),
    "text_recall_at_10": ShownMetric("text R@10"),
    "map_medium": ShownMetric("mAP medium"),
    "map_hard": ShownMetric("mAP hard"),
    "precision_at_1_medium": ShownMetric("mP@1 medium"),
    "precision_at_5_medium": ShownMetric("mP@5 medium"),
    "precision_at_10_medium": ShownMetric("mP@10 medium"),
    "precision_at_1_hard": ShownMetric("mP@1 hard"),
    "precision_at_5_hard": ShownMetric("mP@5 hard"),
    "precision_at_10_hard": ShownMetric("mP@10 hard"),
    "angle_rmse": ShownMetric("RMSE of angles", "°", higher_is_better=False),
    "angle_mean": ShownMetric("mean angle", "°", higher_is_better=False),
    "angle_median": ShownMetric("median angle", "°", higher_is_better=False),
    "within_11": ShownMetric("within 11.25°"),
    "within_22": ShownMetric("within 22.5°"),
    "within_30": ShownMetric("within 30°"),
    "jf": ShownMetric("J&F"),
    "j_mean": ShownMetric("J"),
    "j_recall": ShownMetric("J recall"),
    "j_decay": ShownMetric("J decay", higher_is_better=False),
    "f_mean": ShownMetric("F"),
    "f_recall": ShownMetric("F recall"),
    "f_decay": ShownMetric("F decay", higher_is_better=False),
    "rankme": ShownMetric("RankMe", ""),
    "effective_rank": ShownMetric("effective rank", ""),
    "alpha_req": ShownMetric("alpha-ReQ", "", higher_is_better=False, decimals=2),
    "lidar": ShownMetric("LiDAR", ""),
    "intrinsic_dimension": ShownMetric("intrinsic dimension", ""),
    "outlier_share": ShownMetric("outlier tokens", higher_is_better=False, decimals=2),
    "norm_ratio": ShownMetric("largest norm / median", "", higher_is_better=False, decimals=2),
    "position_r2": ShownMetric("position R²", higher_is_better=False),
    "mce": ShownMetric("mCE", higher_is_better=False),
    "latency": ShownMetric("latency", "ms", higher_is_better=False, decimals=2),
    "memory": ShownMetric("memory", "MB", higher_is_better=False, decimals=0),
    "images_per_second": ShownMetric("images a second", "img/s", decimals=0),
    "gmacs": ShownMetric("multiply-adds", "G", higher_is_better=False, decimals=2),
    "parameters": ShownMetric("parameters", "M", higher_is_better=False, decimals=2),
}


def get_metric(name: str, result: Result | None = None) -> ShownMetric:
    """Return the presentation of the metric of that name; one of a task from outside is shown by its own name."""
    known = METRICS.get(name, ShownMetric(name, "", decimals=3))
    if result is None or name not in result.units:
        return known
    return replace(known, unit=result.units[name], higher_is_better=name not in result.lower_is_better)
