"""NYU Depth v2's labelled pairs with the surface normals of Ladicky et al. (2014), as GeoNet's evaluation has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import Progress

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, MiniVersion, Roles
from umt.data.normals import save_normals
from umt.data.reading import annotated_samples
from umt.data.sets.nyuv2 import IMAGES, LABELLED, SPLITS, Fields, labelled_items, make_folders, split_items

GET = "the evaluation of https://github.com/xjqi/GeoNet reads it as gt/{}"
NORMALS = Archive("norm_gt_l.mat", get=GET.format("norm_gt_l.mat"))
MASKS = Archive("masks.mat", get=GET.format("masks.mat"))
FIELDS: Mapping[Archive, Fields] = {
    LABELLED: {"images": IMAGES},
    NORMALS: {"norm_gt_l": ((3, 640, 480), np.floating)},
    MASKS: {"masks": ((640, 480), np.number)},
}
MINI_SEEDS = {"train": 90_000, "test": 100_000}  # far from each other, and from those of other sets
MINI_SIZE = (320, 240)  # width, height in pixels
FLAT = 1e-9  # change of the slope of inverse depth, in 1/m a pixel, below which a surface is flat


def build(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Write 795 + 654 images with the normals inside of their masks, under their official number."""
    make_folders(out)
    items = zip(*(labelled_items(files[archive], fields) for archive, fields in FIELDS.items()), strict=True)
    tracked = progress.track(items, total=sum(INFO.splits.values()), description=f"convert {NORMALS.name}")
    for name, ((image,), (normals,), (mask,)) in split_items(files[SPLITS], files[NORMALS], tracked):
        Image.fromarray(np.ascontiguousarray(image.T)).save(out / "images" / name)
        save_normals(np.where(mask.T[..., None] > 0, normals.T, 0), out / "annotations" / name)


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, test) rooms of the embedded data with the exact normals of their walls and furniture."""
    from umt.data.mini.dense import pair_folders, save_rgb
    from umt.data.mini.rendered.rooms import FOCAL_SHARE, render_room  # slow to import

    for (split, seed), count in zip(MINI_SEEDS.items(), counts, strict=True):
        images, annotations = pair_folders(folder, split)
        for index in range(count):
            view = render_room(seed + index, *MINI_SIZE)
            save_rgb(view.rgb, images / f"room_{index:04d}.jpg")
            normals = flat_normals(view.depth, FOCAL_SHARE * MINI_SIZE[0])
            save_normals(normals, annotations / f"room_{index:04d}.png")


def flat_normals(depth: np.ndarray, focal: float) -> np.ndarray:
    """Return the unit normals [H, W, 3] of flat surfaces, x right, y down, z ahead; 0 at their edges.

    The inverse depth of a plane is linear in pixels. The principal point is the middle of the image.
    """
    inverse = 1 / depth
    down, across = np.gradient(inverse)
    bends = sum(np.abs(part) for slope in (down, across) for part in np.gradient(slope))
    y, x = (np.arange(side) - (side - 1) / 2 for side in depth.shape)
    offset = inverse - across * x - down * y[:, None]
    normals: np.ndarray = -np.stack([across * focal, down * focal, offset], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[bends > FLAT] = 0
    return normals


INFO = DatasetInfo(
    name="nyuv2_ladicky",
    title="NYUv2, Ladicky's normals",
    kind="normals",
    folder="nyuv2_ladicky",
    splits={"train": 795, "test": 654},
    roles=Roles("train", "test"),
    classes=None,
    source="run `umt data prepare nyuv2_ladicky` on a folder with nyu_depth_v2_labeled.mat and splits.mat of "
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html, and norm_gt_l.mat and masks.mat, which the evaluation of "
    "https://github.com/xjqi/GeoNet reads",
    read=annotated_samples,
    parts=(Part("nyuv2_ladicky", (LABELLED, SPLITS, NORMALS, MASKS), build),),
    gigabytes=3.0,  # estimated: 1,449 PNG of 16-bit normals
    mini=MiniVersion(
        "flat rooms",
        (12, 6),  # train, test rooms
        write_mini,
        real="the photographs that surfaces are covered with, in the layout of NYUv2 with normals",
        rendered="images and normals",
        example=False,
    ),
)
