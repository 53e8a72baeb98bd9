"""Metrics as tables show them: label and decimals as in the paper, unit and direction as the task declares them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reports.results.measurement import Setup


@dataclass(frozen=True)
class Metric:
    """Presentation of a metric; `decimals` are those of the paper's tables."""

    label: str
    unit: str = "%"
    higher_is_better: bool = True
    decimals: int = 1


METRICS = {
    "top1": Metric("top-1"),
    "top5": Metric("top-5"),
    "accuracy": Metric("acc."),
    "mean_per_class": Metric("mean per-class acc."),
    "miou": Metric("mIoU"),
    "macc": Metric("mean acc."),
    "aacc": Metric("pixel acc."),
    "rmse": Metric("RMSE", "m", higher_is_better=False, decimals=3),
    "rmse_pooled": Metric("pooled RMSE", "m", higher_is_better=False, decimals=3),
    "absrel": Metric("AbsRel", "", higher_is_better=False, decimals=3),
    "images_per_second": Metric("images a second", "img/s", decimals=0),
    "gmacs": Metric("multiply-adds", "G", higher_is_better=False, decimals=2),
    "parameters": Metric("parameters", "M", higher_is_better=False, decimals=2),
}


def get_metric(name: str, measured: Setup | None = None) -> Metric:
    """Return the presentation of the metric of that name; one of a task from outside is shown by its own name."""
    known = METRICS.get(name, Metric(name, "", decimals=3))
    if measured is None or name not in measured.units:
        return known
    return replace(known, unit=measured.units[name], higher_is_better=name not in measured.lower_is_better)
