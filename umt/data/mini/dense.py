"""Writers of the dense sets: rendered rooms in the layouts of ADE20K and VOC 2012; rooms and real stereo in NYU's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from umt.data.labels import UNLABELLED
from umt.data.mini.furniture import OTHER_FURNITURE, SOFA, TABLE
from umt.data.mini.rooms import render_room
from umt.data.mini.stereo import crops

ADE20K_SIZE = (160, 120)  # width, height in pixels
VOC_IDS = {OTHER_FURNITURE: UNLABELLED, TABLE: 11, SOFA: 18}  # VOC's diningtable and sofa; all else is background
NYU_SIZE = (640, 480)  # size of Kinect images, for which the usual evaluation crop is cut

# Seeds of the rooms, far apart, so that no room is in two splits or sets.
SEEDS = {"training": 0, "validation": 10_000, "train": 20_000, "test": 30_000, "voc": 40_000}


def write_ade20k(folder: Path, counts: tuple[int, int]) -> None:
    """Write (training, validation) rooms in ADE20K's layout."""
    for split, count in zip(("training", "validation"), counts, strict=True):
        images, annotations = _folders(folder, split)
        for index in range(count):
            view = render_room(SEEDS[split] + index, *ADE20K_SIZE)
            _save_rgb(view.rgb, images / f"room_{index:04d}.jpg")
            Image.fromarray(view.labels).save(annotations / f"room_{index:04d}.png")


def write_voc2012(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, val) rooms in VOC's layout."""
    lists, images, masks = (folder / name for name in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"))
    for created in (lists, images, masks):
        created.mkdir(parents=True)
    codes = np.zeros(256, np.uint8)
    codes[list(VOC_IDS)] = list(VOC_IDS.values())
    names = [f"2012_{index:06d}" for index in range(sum(counts))]
    for index, name in enumerate(names):
        view = render_room(SEEDS["voc"] + index, *ADE20K_SIZE)
        _save_rgb(view.rgb, images / f"{name}.jpg")
        Image.fromarray(codes[view.labels]).save(masks / f"{name}.png")
    for split, listed in (("train", names[: counts[0]]), ("val", names[counts[0] :])):
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in listed))


def write_nyuv2(folder: Path, counts: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Write (train, test) rooms, and (train, test) crops of the stereo photograph, in MMSegmentation's NYU layout."""
    for split, room_count, photo_count in zip(("train", "test"), *counts, strict=True):
        images, annotations = _folders(folder, split)
        for index in range(room_count):
            view = render_room(SEEDS[split] + index, *NYU_SIZE)
            _save_rgb(view.rgb, images / f"room_{index:04d}.jpg")
            _save_depth(view.depth, annotations / f"room_{index:04d}.png")
        for index, (rgb, depth) in enumerate(crops(split, photo_count, NYU_SIZE)):
            _save_rgb(rgb, images / f"motorcycle_{index:04d}.jpg")
            _save_depth(depth, annotations / f"motorcycle_{index:04d}.png")


def _folders(folder: Path, split: str) -> tuple[Path, Path]:
    images, annotations = folder / "images" / split, folder / "annotations" / split
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    return images, annotations


def _save_rgb(rgb: np.ndarray, path: Path) -> None:
    Image.fromarray(rgb).save(path, quality=92)


def _save_depth(metres: np.ndarray, path: Path) -> None:
    Image.fromarray(np.round(metres * 1000).astype(np.uint16)).save(path, compress_level=1)
