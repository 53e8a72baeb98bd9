"""Pictures of segmentations for people: image, truth and prediction in colours that differ, with their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from umt.panels import Panel, hex_colour, side_by_side

TILES = ("image", "truth", "prediction")
MAX_LEGEND_CLASSES = 12  # classes in the legend, the largest ones
UNLABELLED = (0, 0, 0)  # a colour that no class has
STEPS = 24  # levels of red, green and blue of which colours are selected
DARKEST, LIGHTEST = 25.0, 95.0  # lightness of colours: others are hard to tell from black and white
MAX_CHROMA = 70.0  # beyond, colours are glaring


def segmentation_panel(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> Panel:
    """Draw three tiles, with the names of the largest classes in the last two.

    image: RGB bytes [H, W, 3]. prediction, truth: class indices [H, W]; other values are black.
    """
    colours = distinct_colours(len(names))
    legend = {names[label]: hex_colour(colours[label]) for label in largest(prediction, truth, classes=len(names))}
    return Panel(side_by_side(image, (paint(truth, colours), paint(prediction, colours))), legend)


def paint(labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return class indices [H, W] as RGB bytes [H, W, 3]."""
    painted = np.full((256, 3), UNLABELLED, np.uint8)
    painted[: len(colours)] = colours
    return painted[labels]


def largest(prediction: np.ndarray, truth: np.ndarray, classes: int) -> list[int]:
    """Return the classes that cover most of both pictures, at most `MAX_LEGEND_CLASSES`, largest first."""
    counts = sum(np.bincount(labels.ravel(), minlength=256)[:classes] for labels in (prediction, truth))
    order = np.argsort(-np.asarray(counts), kind="stable")[:MAX_LEGEND_CLASSES]
    return [int(label) for label in order if np.asarray(counts)[label]]


@cache
def distinct_colours(count: int) -> np.ndarray:
    """Return RGB bytes [count, 3], each as far as can be from all before it, as people see colours.

    Any two classes differ, also neighbours in an image, and the first classes most: data sets name the frequent first.
    """
    levels = np.linspace(0, 255, STEPS).round()
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = cielab(rgb)
    usable = (lab[:, 0] >= DARKEST) & (lab[:, 0] <= LIGHTEST) & (np.hypot(lab[:, 1], lab[:, 2]) <= MAX_CHROMA)
    rgb, lab = rgb[usable], lab[usable]
    away = np.linalg.norm(lab - cielab(np.array([UNLABELLED])), axis=1)
    selected: list[int] = []
    for _ in range(count):
        selected.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(lab - lab[selected[-1]], axis=1))
    return rgb[selected].astype(np.uint8)


def cielab(rgb: np.ndarray) -> np.ndarray:
    """Return sRGB bytes [..., 3] as CIELAB of the white point D65, in which distances are differences that are seen."""
    share = np.asarray(rgb, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = (
        linear
        @ np.array(
            [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
        ).T
    )
    ratio = xyz / np.array([0.95047, 1.0, 1.08883])
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
