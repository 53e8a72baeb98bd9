"""Rendered objects with keypoints, in the layout of SPair-71k."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from umt.data.mini.crops import write_lines
from umt.data.mini.dense import save_rgb
from umt.data.mini.rendered.objects import OBJECT, SHAPES, ObjectView, camera_around, object_scene, render_object

SEED = 50_000  # far from those of other sets
SIZE = (160, 120)  # width, height in pixels
TURNS = np.radians((25, 60))  # between which a difference of views is 1; 0 below, 2 above


@dataclass(frozen=True)
class Annotated:
    """An image that is written, and what is annotated in it."""

    name: str
    azimuth: float  # radians
    box: list[int]
    keypoints: list[list[int] | None]  # x, y of each, None if it is hidden


def write_pairs(folder: Path, counts: Mapping[str, int], codes: Sequence[str]) -> None:
    """Write so many images of each class for each split, and all ordered pairs of them.

    codes: the classes in order of their value in masks.
    """
    number = 0
    lines: dict[str, list[str]] = {split: [] for split in counts}
    for label, category in enumerate(SHAPES):
        _make_folders(folder, category, tuple(counts))
        for part, (split, count) in enumerate(counts.items()):
            seeds = [SEED + 1000 * label + 100 * part + index for index in range(count)]
            images = [_write_image(folder, category, codes.index(category), seed) for seed in seeds]
            for source, target in permutations(images, 2):
                number += 1
                lines[split].append(f"{number:06d}-{source.name}-{target.name}:{category}")
                annotation = _annotation(number, category, source, target)
                (folder / "PairAnnotation" / split / f"{lines[split][-1]}.json").write_text(json.dumps(annotation))
    (folder / "Layout" / "large").mkdir(parents=True)
    for split, names in lines.items():
        write_lines(folder / "Layout" / "large" / f"{split}.txt", names)


def _make_folders(folder: Path, category: str, splits: tuple[str, ...]) -> None:
    for name in ("JPEGImages", "ImageAnnotation", "Segmentation"):
        (folder / name / category).mkdir(parents=True)
    for split in splits:
        (folder / "PairAnnotation" / split).mkdir(parents=True, exist_ok=True)


def _write_image(folder: Path, category: str, code: int, seed: int) -> Annotated:
    """Render an object from a drawn side, and write image, mask and annotation."""
    rng = np.random.default_rng(seed)
    scene = object_scene(SHAPES[category], rng)
    azimuth, elevation = rng.uniform(np.radians((-70, 10)), np.radians((70, 35)))
    rendering = render_object(scene, camera_around(scene, azimuth, elevation, *SIZE), rng)
    image = Annotated(f"2012_{seed:06d}", float(azimuth), _box(rendering), _keypoints(rendering))
    save_rgb(rendering.view.rgb, folder / "JPEGImages" / category / f"{image.name}.jpg")
    mask = np.where(rendering.view.labels == OBJECT, code, 0).astype(np.uint8)
    Image.fromarray(mask).save(folder / "Segmentation" / category / f"{image.name}.png")
    annotation = {
        "filename": f"{image.name}.jpg",
        "category": category,
        "image_width": SIZE[0],
        "image_height": SIZE[1],
        "bndbox": image.box,
        "kps": {str(index): point for index, point in enumerate(image.keypoints)},
    }
    (folder / "ImageAnnotation" / category / f"{image.name}.json").write_text(json.dumps(annotation))
    return image


def _box(rendering: ObjectView) -> list[int]:
    rows, columns = np.nonzero(rendering.view.labels == OBJECT)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


def _keypoints(rendering: ObjectView) -> list[list[int] | None]:
    pixels = rendering.camera.project(rendering.corners)[:, :2].astype(int).tolist()
    return [point if visible else None for point, visible in zip(pixels, rendering.visible, strict=True)]


def _annotation(number: int, category: str, source: Annotated, target: Annotated) -> dict[str, Any]:
    """Return the annotation of a pair with the fields of the official ones that say something about rendered images."""
    common = [
        index for index, points in enumerate(zip(source.keypoints, target.keypoints, strict=True)) if None not in points
    ]
    sides = {"src": source, "trg": target}
    return {
        "pair_id": number,
        "filename": f"{number:06d}-{source.name}-{target.name}:{category}",
        "category": category,
        **{f"{side}_imname": f"{image.name}.jpg" for side, image in sides.items()},
        **{f"{side}_imsize": [*SIZE, 3] for side in sides},
        **{f"{side}_bndbox": image.box for side, image in sides.items()},
        **{f"{side}_kps": [image.keypoints[index] for index in common] for side, image in sides.items()},
        "kps_ids": [str(index) for index in common],
        "mirror": 0,
        "viewpoint_variation": int(np.searchsorted(TURNS, abs(source.azimuth - target.azimuth))),
    }
