"""Accuracies of classification, in percent."""

from __future__ import annotations

import numpy as np

from benchmarks.tasks.contract import Metric

FINE_GRAINED = (Metric("accuracy", "%"), Metric("top1", "%"), Metric("mean_per_class", "%"))
CLASSES = (Metric("top1", "%"), Metric("top5", "%"), Metric("mean_per_class", "%"))


def fine_grained(reported: str, predictions: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute the metrics FINE_GRAINED; `accuracy` is `reported`, the metric that papers report for the data set."""
    values = {"top1": top1(predictions, labels), "mean_per_class": mean_per_class(predictions, labels)}
    return {"accuracy": values[reported], **values}


def of_classes(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute the metrics CLASSES from scores [N, C]."""
    predictions = scores.argmax(axis=1)
    return {
        "top1": top1(predictions, labels),
        "top5": top_k(scores, labels, 5),
        "mean_per_class": mean_per_class(predictions, labels),
    }


def top1(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Compute the share of images [N] whose predicted class is right."""
    return 100 * float(np.mean(predictions == labels))


def top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Compute the share of images whose class is among the k highest scores [N, C]; 100 if there are at most k classes.

    A tie with the true class counts against it, and so does a score that is no number.
    """
    true_scores = scores[np.arange(len(labels)), labels][:, None]
    rank = (~(scores < true_scores)).sum(axis=1)
    return 100 * float(np.mean(rank <= k))


def mean_per_class(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Compute the mean over the classes in `labels` of the share of their images that are predicted correctly."""
    _, rows, images = np.unique(labels, return_inverse=True, return_counts=True)
    right = np.bincount(rows, weights=predictions == labels)
    return 100 * float(np.mean(right / images))
