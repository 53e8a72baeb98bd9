"""Videos of cut photographs that move, turn and grow over another photograph, with exact masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from umt.data.mini.photos import NAMES, photo

GRAIN = 4.0  # standard deviation of the sensor noise, in levels of 255
SHAPES = ("ellipse", "box", "star")
PLACES = ((0.2, 0.35), (0.5, 0.65), (0.8, 0.4))  # centres in the first frame, as shares of width and height
STAR_POINTS, STAR_DEPTH = 5, 0.35  # the radius of a star swings by this share


@dataclass(frozen=True)
class MovingShape:
    """A piece of a photograph and its motion; lengths are in pixels, angles in radians, both times a frame."""

    outline: str
    texture: np.ndarray  # RGB [side, side, 3]
    centre: np.ndarray  # x, y in the first frame
    speed: np.ndarray
    radius: float
    growth: float  # factor
    angle: float
    turn: float


def moving_shapes(seed: int, frames: int, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield frames, RGB uint8 [H, W, 3] and the number of the object at each pixel [H, W], 0 for none.

    Equal arguments give equal bits. Two or three objects are there; later ones cover earlier ones.
    """
    rng = np.random.default_rng(seed)
    names = list(rng.choice(NAMES, 1 + len(PLACES), replace=False))
    shapes = [_draw_shape(rng, name, index, size) for index, name in enumerate(names[1 : rng.integers(3, 5)])]
    width, height = size
    pan = rng.uniform(-1.5, 1.5, 2)  # pixels a frame
    margin = 2 * frames
    backdrop = np.asarray(Image.fromarray(photo(names[0])).resize((width + 2 * margin, height + 2 * margin)))
    for number in range(frames):
        left, top = (margin + np.round(pan * number)).astype(int)
        rgb = backdrop[top : top + height, left : left + width].astype(np.float64)
        mask = np.zeros((height, width), np.uint8)
        for index, shape in enumerate(shapes, start=1):
            covered, colours = _at(shape, number, width, height)
            rgb[covered], mask[covered] = colours, index
        noisy = rgb + rng.normal(0, GRAIN, rgb.shape)
        yield np.clip(np.round(noisy), 0, 255).astype(np.uint8), mask


def _draw_shape(rng: np.random.Generator, name: str, index: int, size: tuple[int, int]) -> MovingShape:
    radius = size[1] * rng.uniform(0.16, 0.24)
    side = int(2 * radius)
    return MovingShape(
        outline=SHAPES[rng.integers(len(SHAPES))],
        texture=np.asarray(Image.fromarray(photo(name)).resize((side, side))),
        centre=np.array(PLACES[index]) * size,
        speed=rng.uniform((-0.025, -0.015), (0.025, 0.015)) * size[1],
        radius=radius,
        growth=rng.uniform(0.985, 1.015),
        angle=rng.uniform(0, 2 * np.pi),
        turn=rng.uniform(-0.08, 0.08),
    )


def _at(shape: MovingShape, number: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels [H, W] that a shape covers in a frame, and their colours [P, 3]."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    angle, scale = shape.angle + shape.turn * number, 1 / (shape.radius * shape.growth**number)
    across, down = (axis - shape.centre[index] - shape.speed[index] * number for index, axis in enumerate((x, y)))
    u = (np.cos(angle) * across + np.sin(angle) * down) * scale
    v = (np.cos(angle) * down - np.sin(angle) * across) * scale
    covered = _inside(shape.outline, u, v)
    side = len(shape.texture)
    rows, columns = (((axis[covered] + 1) / 2 * side).astype(int).clip(0, side - 1) for axis in (v, u))
    return covered, shape.texture[rows, columns]


def _inside(outline: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return true for points of the shape, which lies in the square from -1 to 1."""
    if outline == "box":
        return (np.abs(u) < 0.9) & (np.abs(v) < 0.65)
    if outline == "ellipse":
        return u**2 + (v / 0.7) ** 2 < 1
    bound = 1 - STAR_DEPTH * (1 + np.cos(STAR_POINTS * np.arctan2(v, u))) / 2
    return np.hypot(u, v) < bound
