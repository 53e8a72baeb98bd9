"""Objects of boxes in a room, seen from around them, with the corners that a camera sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from umt.data.mini.photos import NAMES
from umt.data.mini.rendered.furniture import Triple
from umt.data.mini.rendered.raycast import Array, Camera, cast
from umt.data.mini.rendered.rooms import Box, RoomView, Scene, render, shell

OBJECT = 200  # label of the object's pixels; those of rooms are lower
ROOM = np.array((7.0, 3.0, 7.0))  # metres
DISTANCE = 2.6  # metres from the middle of the object to the camera
FOCAL_SHARE = 1.1  # focal length over the image's width
TEXTURE_METRES = 0.7  # width that a photograph spans
VISIBLE_SHARE = 0.995  # share of a corner's distance at which the ray to it may hit something, for rounding
CORNERS = np.array(np.meshgrid((0, 1), (0, 1), (0, 1), indexing="ij")).reshape(3, -1).T  # [8, 3]


@dataclass(frozen=True)
class ObjectPart:
    """A box of an object, from `low` to `high` in shares of its size, and the photograph that covers it."""

    low: Triple
    high: Triple
    photo: str


@dataclass(frozen=True)
class ObjectShape:
    """An object that stands on the floor: (width, height, depth) in metres; the corners of all parts are keypoints."""

    size: Triple
    parts: tuple[ObjectPart, ...]


SHAPES = {
    "bus": ObjectShape(
        (0.8, 0.9, 1.6),
        (
            ObjectPart((0, 0.1, 0), (1, 1, 1), "brick"),
            ObjectPart((0.1, 0.5, -0.02), (0.9, 0.9, 0), "rocket"),
            ObjectPart((1, 0.5, 0.1), (1.02, 0.85, 0.9), "china"),
        ),
    ),
    "chair": ObjectShape(
        (0.7, 1.2, 0.7),
        (
            ObjectPart((0, 0.4, 0), (1, 0.5, 1), "coffee"),
            ObjectPart((0, 0.5, 0.9), (1, 1, 1), "flower"),
            *(ObjectPart((x, 0, z), (x + 0.1, 0.4, z + 0.1), "clock") for x in (0.0, 0.9) for z in (0.0, 0.9)),
        ),
    ),
    "tvmonitor": ObjectShape(
        (1.1, 0.9, 0.3),
        (
            ObjectPart((0, 0.3, 0.3), (1, 1, 0.7), "camera"),
            ObjectPart((0.06, 0.36, 0.28), (0.94, 0.94, 0.3), "astronaut"),
            ObjectPart((0.4, 0, 0.4), (0.6, 0.3, 0.6), "coins"),
        ),
    ),
}


@dataclass(frozen=True)
class ObjectView:
    """A rendered image of an object, its camera, the corners of its parts in the world [K, 3], and if it shows them."""

    view: RoomView
    camera: Camera
    corners: Array
    visible: Array  # bool [K]


def object_scene(shape: ObjectShape, rng: np.random.Generator) -> Scene:
    """Return an object of a shape in the middle of a room, with sizes, tints and room drawn."""
    extent = np.array(shape.size) * rng.uniform(0.85, 1.15, 3)
    low = (ROOM - extent) * (0.5, 0, 0.5)
    boxes = [
        Box(
            low + extent * part.low,
            low + extent * part.high,
            OBJECT,
            NAMES.index(part.photo),
            TEXTURE_METRES,
            rng.uniform(0.75, 1.1, 3),
        )
        for part in shape.parts
    ]
    return Scene([*shell(rng, ROOM), *boxes], ROOM * rng.uniform((0.3, 0.85, 0.1), (0.7, 0.95, 0.4)))


def camera_around(scene: Scene, azimuth: float, elevation: float, width: int, height: int) -> Camera:
    """Return a camera that looks at the object from an azimuth, 0 for its front, and an elevation, in radians."""
    boxes = _object_boxes(scene)
    middle = (np.min([box.low for box in boxes], axis=0) + np.max([box.high for box in boxes], axis=0)) / 2
    forward = np.array((np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)))
    x, y, z = (middle - DISTANCE * forward).tolist()
    return Camera((x, y, z), azimuth, -elevation, width, height, FOCAL_SHARE * width)


def render_object(scene: Scene, camera: Camera, rng: np.random.Generator) -> ObjectView:
    """Render the scene of an object."""
    corners = np.concatenate([box.low + CORNERS * (box.high - box.low) for box in _object_boxes(scene)])
    column, row, depth = camera.project(corners).T
    inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    origin = np.array(camera.position)
    hits = cast(origin, corners - origin, scene.stack("low"), scene.stack("high"))
    return ObjectView(render(scene, camera, rng), camera, corners, inside & (hits.depth > VISIBLE_SHARE))


def on_object(view: RoomView) -> RoomView:
    """Return the view with no depth where it shows the room, as scans of objects have it."""
    return replace(view, depth=np.where(view.labels == OBJECT, view.depth, 0.0))


def _object_boxes(scene: Scene) -> list[Box]:
    return [box for box in scene.boxes if box.label == OBJECT]
