"""Furnished rooms, rendered: RGB, class map with ADE20K's ids and metric depth, exact and repeatable by seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from umt.data.mini.photos import NAMES, photo
from umt.data.mini.rendered.furniture import (
    CEILING,
    FLOOR,
    FURNITURE,
    PANELS,
    RUG,
    SURFACES,
    WALL,
    Furniture,
    Surface,
    WallPanel,
)
from umt.data.mini.rendered.raycast import Array, Camera, Hits, cast

FOCAL_SHARE = 518.86 / 640  # focal length over image width of the Kinect that took NYU Depth v2
TILE = 256  # pixels a side of a photograph as texture
WALL_METRES = 0.05  # metres of walls and panels
GRAIN = 3.0  # standard deviation of the sensor noise, in levels of 255
FREE_METRES = 1.3  # metres around the camera that furniture keeps free
BAND_RAYS = 8192  # rays at a time, so that temporaries stay in the cache


@dataclass(frozen=True)
class RoomView:
    """A rendered image: RGB uint8 [H, W, 3], ADE20K ids uint8 [H, W] (0: unlabelled) and z-depth in metres [H, W]."""

    rgb: Array
    labels: Array
    depth: Array


@dataclass(frozen=True)
class Box:
    """An axis-aligned box of a scene, in metres, with its class and texture."""

    low: Array
    high: Array
    label: int
    texture: int  # index into photos.NAMES
    metres: float  # width that a texture spans
    tint: Array  # factor of each colour


@dataclass(frozen=True)
class Scene:
    """All boxes of a room, its walls included, and a lamp."""

    boxes: list[Box]
    lamp: Array

    def stack(self, field: str) -> Array:
        """Return one field of all boxes, as an array with a row for each."""
        return np.array([getattr(box, field) for box in self.boxes])


def render_room(seed: int, width: int, height: int) -> RoomView:
    """Render the room of a seed as its camera sees it; equal arguments give equal bits."""
    rng = np.random.default_rng(seed)
    size = rng.uniform((3.5, 2.4, 4.0), (5.5, 3.0, 6.5))
    camera = place_camera(rng, size, width, height)
    return render(furnish(rng, size, camera), camera, rng)


def render(scene: Scene, camera: Camera, rng: np.random.Generator) -> RoomView:
    """Cast one ray a pixel in a closed room; `rng` draws the grain of the sensor, which only the colours have."""
    rays = camera.rays().reshape(-1, 3)
    bands = [
        _render(scene, np.array(camera.position), band, rng)
        for band in np.split(rays, range(BAND_RAYS, len(rays), BAND_RAYS))
    ]
    rgb, labels, depth = (np.concatenate(parts) for parts in zip(*bands, strict=True))
    shape = (camera.height, camera.width)
    return RoomView(rgb.reshape(*shape, 3), labels.reshape(shape), depth.reshape(shape))


def _render(scene: Scene, origin: Array, rays: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return RGB [P, 3], labels [P] and z-depth [P] along P rays."""
    hits = cast(origin, rays, scene.stack("low"), scene.stack("high"))
    colours = _shade(scene, origin + hits.depth[:, None] * rays, hits) + rng.normal(0, GRAIN, (len(rays), 1))
    rgb = np.clip(np.round(colours), 0, 255).astype(np.uint8)
    return rgb, scene.stack("label")[hits.box].astype(np.uint8), hits.depth


def place_camera(rng: np.random.Generator, size: Array, width: int, height: int) -> Camera:
    """Place the camera near the front wall at eye height; it looks into the room and a little down."""
    x, z = rng.uniform(0.3, 0.7) * size[0], rng.uniform(0.2, 0.6)
    yaw, pitch = np.radians(rng.uniform((-25, -20), (25, -4)))
    return Camera((x, rng.uniform(1.2, 1.7), z), yaw, pitch, width, height, FOCAL_SHARE * width)


def furnish(rng: np.random.Generator, size: Array, camera: Camera) -> Scene:
    boxes = [*shell(rng, size), *_rug(rng, size), *_panels(rng, size), *_furniture(rng, size, camera)]
    lamp = size * rng.uniform((0.3, 0.85, 0.3), (0.7, 0.95, 0.7))
    return Scene(boxes, lamp)


def shell(rng: np.random.Generator, size: Array) -> Iterator[Box]:
    """Yield floor, ceiling and four walls: slabs around the room, so that a room is boxes only."""
    wall = _cover(rng, WALL)
    covers = {(1, 0): _cover(rng, FLOOR), (1, 1): _cover(rng, CEILING)}
    for axis in range(3):
        for side in (0, 1):
            low, high = np.full(3, -WALL_METRES), size + WALL_METRES
            low[axis], high[axis] = (-WALL_METRES, 0.0) if side == 0 else (size[axis], size[axis] + WALL_METRES)
            yield Box(low, high, *covers.get((axis, side), wall))


def _rug(rng: np.random.Generator, size: Array) -> Iterator[Box]:
    extent = np.array([rng.uniform(1.2, 2.2), 0.02, rng.uniform(1.2, 2.2)])
    low = (size - extent) * np.array([rng.uniform(), 0, rng.uniform(0.3, 0.8)])
    yield Box(low, low + extent, *_cover(rng, RUG))


def _panels(rng: np.random.Generator, size: Array) -> Iterator[Box]:
    """Yield one window, door or painting on the left, right and back wall each."""
    for wall in ("left", "right", "back"):
        yield _hang(rng, PANELS[rng.integers(len(PANELS))], wall, size)


def _hang(rng: np.random.Generator, panel: WallPanel, wall: str, size: Array) -> Box:
    width, height = panel.size
    along = 0 if wall == "back" else 2
    low, extent = np.zeros(3), np.full(3, WALL_METRES)
    extent[along], extent[1] = width, height
    low[along], low[1] = rng.uniform(0.3, 1) * (size[along] - width), panel.sill
    across = 2 - along
    low[across] = 0 if wall == "left" else size[across] - WALL_METRES
    return Box(low, low + extent, *_cover(rng, panel.label))


def _furniture(rng: np.random.Generator, size: Array, camera: Camera) -> Iterator[Box]:
    """Yield every piece that finds a free place: not in another piece, and not close to the camera."""
    occupied = [(np.array(camera.position) - FREE_METRES, np.array(camera.position) + FREE_METRES)]
    for piece in FURNITURE:
        extent = np.array(piece.size) * rng.uniform(0.85, 1.15, 3)
        for _ in range(20):
            low = (size - extent) * np.array([rng.uniform(), 0, rng.uniform()])
            if not any(_overlap(low, low + extent, *box) for box in occupied):
                occupied.append((low, low + extent))
                yield from _assemble(rng, piece, low, extent)
                break


def _assemble(rng: np.random.Generator, piece: Furniture, low: Array, extent: Array) -> Iterator[Box]:
    cover = _cover(rng, piece.label)
    for part in piece.parts:
        yield Box(low + extent * part.low, low + extent * part.high, *cover)


def _overlap(low: Array, high: Array, other_low: Array, other_high: Array) -> bool:
    """Return whether two footprints overlap, at any height."""
    ground = [0, 2]
    return bool(np.all((low < other_high)[ground] & (other_low < high)[ground]))


def _cover(rng: np.random.Generator, label: int) -> tuple[int, int, float, Array]:
    return cover(rng, label, SURFACES[label])


def cover(rng: np.random.Generator, label: int, surface: Surface) -> tuple[int, int, float, Array]:
    """Draw label, texture, its size and tint for a class: the fields of a Box except its place."""
    name = surface.photos[rng.integers(len(surface.photos))]
    return label, NAMES.index(name), surface.metres, rng.uniform(0.75, 1.1, 3)


def _shade(scene: Scene, points: Array, hits: Hits) -> Array:
    """Return colours [P, 3] from 0 to about 255: texture times tint times the lamp's light on the face (Lambert)."""
    to_lamp = scene.lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    facing = np.abs(to_lamp[np.arange(len(points)), hits.axis]) / distance
    light = 0.55 + 0.9 * facing / (1 + 0.15 * distance**2)
    return _texture(scene, points, hits) * scene.stack("tint")[hits.box] * light[:, None]


def _texture(scene: Scene, points: Array, hits: Hits) -> Array:
    """Return the photograph on the face at every point, repeated every `metres` from the box's lower corner."""
    tiles = (points - scene.stack("low")[hits.box]) / scene.stack("metres")[hits.box, None]
    texels = np.floor(tiles * TILE).astype(int) % TILE
    across = np.where(hits.axis == 0, texels[:, 2], texels[:, 0])
    up = np.where(hits.axis == 1, texels[:, 2], texels[:, 1])
    return _tiles()[scene.stack("texture")[hits.box], TILE - 1 - up, across]


@cache
def _tiles() -> Array:
    """Return all photographs as textures, uint8 [N, TILE, TILE, 3]."""
    return np.stack([np.asarray(Image.fromarray(photo(name)).resize((TILE, TILE))) for name in NAMES])
