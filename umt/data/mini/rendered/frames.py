"""Rendered views with depth and pose: of rooms in the layout of ScanNet's pairs, and of objects in that of NAVI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from umt.data.mini.dense import save_depth, save_rgb
from umt.data.mini.rendered.objects import SHAPES, camera_around, object_scene, on_object, render_object
from umt.data.mini.rendered.raycast import Array, Camera
from umt.data.mini.rendered.rooms import furnish, place_camera, render

SEED = 60_000  # far from those of other sets
SIZE = (160, 120)  # width, height in pixels
NEIGHBOURS = 2  # frames that follow a frame and are its partners
MIRROR = np.diag((1.0, -1.0, 1.0))  # world and camera look down with their second axis, ours looks up
SCALE = 250.0  # millimetres of an object for each metre of the room that it is rendered in
DISPARITIES = 655_350.0  # millimetres times the value of a depth map of NAVI
FRONT = 70.0  # degrees to both sides of an object's front


def write_rooms(folder: Path, rooms: int, frames: int) -> None:
    """Write frames of rooms while a camera walks and turns, and the list of pairs."""
    pairs: list[tuple[int, int, int, int]] = []
    intrinsics: dict[str, Array] = {}
    for room in range(rooms):
        scene = f"scene{room:04d}_00"
        for name in ("color", "depth", "pose"):
            (folder / scene / name).mkdir(parents=True)
        for frame, camera in enumerate(_write_frames(folder / scene, SEED + room, frames)):
            intrinsics[scene] = _intrinsics(camera)
            pairs.extend((room, 0, frame, later) for later in range(frame + 1, min(frames, frame + 1 + NEIGHBOURS)))
    _save_arrays(folder / "test.npz", {"name": np.array(pairs)})
    _save_arrays(folder / "intrinsics.npz", intrinsics)


def _write_frames(scene: Path, seed: int, frames: int) -> Iterator[Camera]:
    """Write the frames of a room, and yield their cameras."""
    rng = np.random.default_rng(seed)
    size = rng.uniform((3.5, 2.4, 4.0), (5.5, 3.0, 6.5))
    first = place_camera(rng, size, *SIZE)
    room = furnish(rng, size, first)
    step, turn = rng.uniform(0.05, 0.15), np.radians(rng.uniform(3, 8))
    for frame in range(frames):
        x, y, z = first.position
        camera = replace(first, position=(x + frame * step, y, z), yaw=first.yaw - frame * turn)
        view = render(room, camera, rng)
        save_rgb(view.rgb, scene / "color" / f"{frame}.jpg")
        save_depth(view.depth, scene / "depth" / f"{frame}.png")
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = _turned(camera).T, MIRROR @ camera.position
        np.savetxt(scene / "pose" / f"{frame}.txt", pose)
        yield camera


def write_objects(folder: Path, objects: int, photographs: int) -> None:
    """Write photographs of objects from drawn sides, and a collection of one photograph, which is not in the wild."""
    for index, (name, shape) in enumerate(islice(SHAPES.items(), objects)):
        for collection, count in (("wild_set", photographs), ("multiview_00_rendered", 1)):
            rng = np.random.default_rng([SEED, index, count])
            scene = object_scene(shape, rng)
            for kind in ("images", "depth"):
                (folder / name / collection / kind).mkdir(parents=True)
            records = []
            for number in range(count):
                azimuth, elevation = np.radians(rng.uniform((-FRONT, 5), (FRONT, 40)))
                camera = camera_around(scene, azimuth, elevation, *SIZE)
                view = on_object(render_object(scene, camera, rng).view)
                save_rgb(view.rgb, folder / name / collection / "images" / f"{number:03d}.jpg")
                _save_disparity(view.depth * SCALE, folder / name / collection / "depth" / f"{number:03d}.png")
                records.append(_record(f"{number:03d}.jpg", camera))
            (folder / name / collection / "annotations.json").write_text(json.dumps(records))


def _record(name: str, camera: Camera) -> dict[str, Any]:
    """Return the annotation of a photograph."""
    turned = _turned(camera)
    x, y, z, w = Rotation.from_matrix(turned).as_quat().tolist()
    shift = -SCALE * turned @ MIRROR @ camera.position
    return {
        "filename": name,
        "image_size": SIZE[::-1],
        "camera": {"q": [w, x, y, z], "t": shift.tolist(), "focal_length": camera.focal, "camera_model": "rendered"},
    }


def _turned(camera: Camera) -> Array:
    """Return the rotation from the world to the camera, both with their second axis down."""
    turned: Array = MIRROR @ camera.axes() @ MIRROR
    return turned


def _intrinsics(camera: Camera) -> Array:
    return np.array([[camera.focal, 0, camera.width / 2], [0, camera.focal, camera.height / 2], [0, 0, 1]])


def _save_disparity(millimetres: Array, path: Path) -> None:
    """Save depth as NAVI does: 16 bits of its inverse, 0 where there is none."""
    inverse = np.divide(DISPARITIES, millimetres, out=np.zeros_like(millimetres), where=millimetres > 0)
    Image.fromarray(np.round(inverse).astype(np.uint16)).save(path, compress_level=1)


def _save_arrays(path: Path, arrays: dict[str, Array]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
