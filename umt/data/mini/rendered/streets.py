"""Streets, rendered: RGB and a class map with the label ids of Cityscapes, exact and repeatable by seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from umt.data.mini.rendered.furniture import Surface, Triple
from umt.data.mini.rendered.raycast import Array, Camera
from umt.data.mini.rendered.rooms import Box, RoomView, Scene, cover, render

# Label ids of the official labels.py; the hood of the own car is not evaluated.
HOOD, ROAD, SIDEWALK, BUILDING, POLE, SIGN, VEGETATION, SKY, PERSON, CAR, TRUCK = (
    1,
    7,
    8,
    11,
    17,
    20,
    21,
    23,
    24,
    26,
    27,
)
WIDTH, LENGTH, HEIGHT = 24.0, 60.0, 20.0  # metres of the street, its houses and its sky
KERB, WALK, HOUSE = 0.15, 3.0, 4.0  # metres: height of a sidewalk, its width, and depth of houses
EYE = 1.4  # metres of the camera above the road
FOCAL_SHARE = 1.1  # focal length over image width, as Cityscapes' cameras have it
SHELL = 0.5  # metres of ground and sky
GAP = 4.0  # metres between two objects of a kind, at least

SURFACES = {
    HOOD: Surface(("page",), 2.0),
    ROAD: Surface(("gravel", "moon"), 4.0),
    SIDEWALK: Surface(("text",), 2.0),
    BUILDING: Surface(("brick", "china"), 5.0),
    POLE: Surface(("camera",), 0.5),
    SIGN: Surface(("clock", "coins"), 0.6),
    VEGETATION: Surface(("grass", "flower"), 2.0),
    SKY: Surface(("hubble_deep_field", "page"), 40.0),
    PERSON: Surface(("astronaut", "chelsea"), 1.7),
    CAR: Surface(("rocket", "coffee"), 2.0),
    TRUCK: Surface(("retina",), 3.0),
}


@dataclass(frozen=True)
class Roadside:
    """Objects of one kind beside or on the road: (width, height, depth) in metres, and metres from its centre."""

    label: int
    size: Triple
    across: float
    above: float = 0.0  # metres of its lower edge above the road
    share: float = 0.5  # of the places that are taken


ROADSIDE = (
    Roadside(CAR, (1.8, 1.5, 4.2), 4.0),
    Roadside(TRUCK, (2.4, 3.0, 6.5), 1.5, share=0.1),
    Roadside(PERSON, (0.6, 1.75, 0.4), 6.0, KERB, 0.6),
    Roadside(POLE, (0.25, 5.0, 0.25), 5.3, KERB),
    Roadside(SIGN, (0.8, 0.8, 0.1), 5.6, 2.4),
    Roadside(VEGETATION, (1.8, 3.5, 1.8), 7.0, KERB, 0.4),
)


def render_street(seed: int, width: int, height: int) -> RoomView:
    """Render the street of a seed as the camera of a car sees it; equal arguments give equal bits."""
    rng = np.random.default_rng(seed)
    position = (WIDTH / 2 + rng.uniform(-1, 1), EYE, 1.0)
    yaw, pitch = np.radians(rng.uniform((-6, -3), (6, 1)))
    camera = Camera(position, yaw, pitch, width, height, FOCAL_SHARE * width)
    boxes = [*_shell(rng), *_houses(rng), *_roadside(rng), _hood(rng, camera)]
    sun = np.array([rng.uniform(0, WIDTH), HEIGHT - 1, rng.uniform(0, LENGTH)])
    return render(Scene(boxes, sun), camera, rng)


def _shell(rng: np.random.Generator) -> Iterator[Box]:
    """Yield the road, its sidewalks, and the sky above, behind and on both sides."""
    yield _box(rng, ROAD, (0, -SHELL, 0), (WIDTH, 0, LENGTH))
    walk = HOUSE + WALK
    yield _box(rng, SIDEWALK, (0, 0, 0), (walk, KERB, LENGTH))
    yield _box(rng, SIDEWALK, (WIDTH - walk, 0, 0), (WIDTH, KERB, LENGTH))
    sky = cover(rng, SKY, SURFACES[SKY])
    for axis in range(3):
        low, high = np.zeros(3) - SHELL, np.array([WIDTH, HEIGHT, LENGTH]) + SHELL
        low[axis] = (WIDTH, HEIGHT, LENGTH)[axis]
        yield Box(low, high, *sky)
        if axis != 1:  # the road is below
            low, high = low.copy(), high.copy()
            low[axis], high[axis] = -SHELL, 0
            yield Box(low, high, *sky)


def _houses(rng: np.random.Generator) -> Iterator[Box]:
    for edge in (0.0, WIDTH - HOUSE):
        start = 0.0
        while start < LENGTH:
            end = start + rng.uniform(5, 12)
            yield _box(rng, BUILDING, (edge, 0, start), (edge + HOUSE, rng.uniform(5, 12), min(end, LENGTH)))
            start = end + rng.choice([0.0, 2.0])


def _roadside(rng: np.random.Generator) -> Iterator[Box]:
    """Yield the objects on both sides, each kind in places of its own along the road."""
    for kind in ROADSIDE:
        size = np.array(kind.size)
        for side in (-1, 1):
            start = rng.uniform(4, 10)
            while start + size[2] < LENGTH:
                centre = WIDTH / 2 + side * kind.across
                if rng.uniform() < kind.share:
                    low = np.array([centre - size[0] / 2, kind.above, start])
                    yield _box(rng, kind.label, low, low + size * rng.uniform(0.85, 1.15, 3))
                start += size[2] + GAP + rng.uniform(0, 6)


def _hood(rng: np.random.Generator, camera: Camera) -> Box:
    """Return the hood of the own car, at the lower edge of the image."""
    x, y, z = camera.position
    return _box(rng, HOOD, (x - 0.8, 0.5, z + 0.6), (x + 0.8, y - 0.5, z + 2.0))


def _box(rng: np.random.Generator, label: int, low: Triple | Array, high: Triple | Array) -> Box:
    return Box(np.array(low, float), np.array(high, float), *cover(rng, label, SURFACES[label]))
