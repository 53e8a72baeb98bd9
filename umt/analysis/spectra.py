"""Numbers that describe frozen features without any label of a task: spectra, dimensions, norms and positions.

All of them are computed in float64 from features that are there already.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit
from sklearn.neighbors import NearestNeighbors

LIDAR_DELTA = 1e-4  # added to the scatter within classes
LIDAR_EPSILON = 1e-8  # of the entropy's shares
ALPHA_RANGE = (11, 100)  # eigenvalues that the power law is fitted to, counted from 1
PENALTIES = tuple(10.0**power for power in range(7))  # of the ridge regression on standardised tokens
HIGH = 99.9  # percentile of norms


def alpha_req(features: np.ndarray) -> float:
    """Compute alpha of features [N, D]: the eigenvalues of their covariance fall as rank^-alpha (Agrawal et al. 2022).

    A straight line is fitted to the logarithms of the eigenvalues 11 to 100, or to the last one above rounding.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    count = int((values > values[0] * max(centred.shape) * np.finfo(np.float64).eps).sum())
    low, high = ALPHA_RANGE
    ranks = np.arange(min(low, max(1, count - 1)), min(high, count) + 1)
    if len(ranks) < 2:
        return float("nan")
    slope, _ = np.polyfit(np.log(ranks), np.log(values[ranks - 1]), 1)
    return -float(slope)


def lidar(features: np.ndarray, labels: np.ndarray) -> float:
    """Compute LiDAR (Thilak et al. 2024) of features [N, D], with classes in the place of views of an image.

    It is the exponential of the entropy of the eigenvalues of the scatter between classes, whitened by that within.
    """
    rows, classes = features.astype(np.float64), np.unique(labels)
    means = np.stack([rows[labels == label].mean(axis=0) for label in classes])
    within = rows - means[np.searchsorted(classes, labels)]
    scatter = within.T @ within / len(rows) + LIDAR_DELTA * np.eye(rows.shape[1])
    between = means - means.mean(axis=0)
    values, vectors = np.linalg.eigh(scatter)
    white = between @ (vectors / np.sqrt(values)) @ vectors.T
    eigenvalues = np.linalg.svd(white, compute_uv=False) ** 2 / (len(classes) - 1 or 1)
    shares = eigenvalues / max(eigenvalues.sum(), np.finfo(np.float64).tiny) + LIDAR_EPSILON
    return float(np.exp(-(shares * np.log(shares)).sum()))


def intrinsic_dimension(features: np.ndarray) -> float:
    """Estimate the dimension by the distances to two neighbours (TwoNN, Facco et al. 2017), by maximum likelihood.

    Images whose nearest neighbour is their equal say nothing and are left out.
    """
    distances, _ = NearestNeighbors(n_neighbors=3).fit(features.astype(np.float64)).kneighbors()
    nearest, second = distances[:, 0], distances[:, 1]
    logs = np.log(second[nearest > 0] / nearest[nearest > 0])
    return float(len(logs) / logs.sum()) if logs.sum() > 0 else float("nan")


def norm_statistics(norms: np.ndarray, factor: float) -> dict[str, float]:
    """Compare the norms [N, T] of all tokens with their median.

    `outlier_share` is the share in percent above `factor` medians, `norm_ratio` the percentile 99.9 over the median.
    """
    median = max(float(np.median(norms)), np.finfo(np.float64).tiny)
    return {
        "outlier_share": 100 * float((norms > factor * median).mean()),
        "norm_ratio": float(np.percentile(norms, HIGH)) / median,
    }


def position_r2(tokens: np.ndarray) -> float:
    """Decode the place of tokens [N, C, H, W]: R^2 in percent of a ridge regression on rows and columns.

    It is fitted to every second image and scored on the others; half of the former choose the penalty, by whole images,
    since tokens of an image know each other. A map of one token has no places: not a number, as for less than 3 images.
    """
    images, width, height, columns = tokens.shape
    if images < 3 or height * columns < 2:
        return float("nan")
    rows = tokens.transpose(0, 2, 3, 1).reshape(images, -1, width).astype(np.float64)
    places = np.stack(np.meshgrid(np.arange(height), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    moving = places[:, places.std(axis=0) > 0]
    train, test = rows[::2].reshape(-1, width), rows[1::2].reshape(-1, width)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    choosing = np.repeat(np.arange(len(rows[::2])) % 2 - 1, height * columns)  # -1: only fitted to
    model = RidgeCV(PENALTIES, cv=PredefinedSplit(choosing))
    model.fit((train - mean) / scale, np.tile(moving, (len(rows[::2]), 1)))
    return 100 * float(model.score((test - mean) / scale, np.tile(moving, (len(rows[1::2]), 1))))
