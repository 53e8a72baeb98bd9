"""KITTI depth in the split of Eigen et al. (2014): road scenes, and sparse depth as 16-bit PNG, 256 a metre.

The layout is that of the Monocular Depth Estimation Toolbox, which DINOv2 uses, with the lists of BTS.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.prepare.folders import whole_archive
from umt.data.reading import listed_samples, read_table

SCALE = 256.0  # values of a metre
NO_DEPTH = "None"  # in the list, for an image of the split whose depth was never published
MINI_SEEDS = {"train": 70_000, "test": 80_000}  # far from each other, and from those of other sets
MINI_SIZE = (1242, 375)  # width, height in pixels, those of most images
MINI_SHARE = 0.2  # of pixels with depth, about that of the laser scans
# The official archives are one for each drive; only their pictures of the left camera are needed.
ARCHIVE = Archive(
    "kitti.zip",
    get="pack a folder kitti with input, gt_depth and both lists, or name that folder",
    files=200_000,
    gigabytes=100,
)
DRIVE = "2011_09_26_drive_{:04d}_sync"


def read(root: Path, split: str) -> list[Sample]:
    """List the images of a split that have depth, in order of name; the focal lengths of the list are not needed."""
    path = root / f"kitti_eigen_{split}.txt"
    pairs = sorted((image, depth) for image, depth, _ in read_table(path, 3) if depth != NO_DEPTH)
    images = listed_samples(root / "input", [(image, 0) for image, _ in pairs], path)
    depths = listed_samples(root / "gt_depth", [(depth, 0) for _, depth in pairs], path)
    return [Sample(image.image, depth.image) for image, depth in zip(images, depths, strict=True)]


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, test) rooms of the embedded data, as wide as KITTI's images, with depth at some pixels."""
    from umt.data.mini.rendered.rooms import render_room  # slow to import

    for split, count in zip(MINI_SEEDS, counts, strict=True):
        lines = []
        for index in range(count):
            drive = DRIVE.format(index if split == "train" else 1000 + index)
            image = f"2011_09_26/{drive}/image_02/data/0000000000.png"
            depth = f"{drive}/proj_depth/groundtruth/image_02/0000000000.png"
            lines.append(f"{image} {depth} 721.5377\n")
            for path in (folder / "input" / image, folder / "gt_depth" / depth):
                path.parent.mkdir(parents=True)
            view = render_room(MINI_SEEDS[split] + index, *MINI_SIZE)
            Image.fromarray(view.rgb).save(folder / "input" / image, compress_level=1)
            measured = np.random.default_rng(index).uniform(size=view.depth.shape) < MINI_SHARE
            values = np.round(np.where(measured, view.depth, 0) * SCALE).astype(np.uint16)
            Image.fromarray(values).save(folder / "gt_depth" / depth, compress_level=1)
        (folder / f"kitti_eigen_{split}.txt").write_text("".join(lines))


INFO = DatasetInfo(
    name="kitti",
    title="KITTI",
    kind="depth",
    folder="kitti",
    splits={"train": 23_158, "test": 652},
    roles=Roles("train", "test"),
    classes=None,
    depth_range=(1.0, 80.0),
    depth_scale=SCALE,
    source="put the raw drives of https://www.cvlibs.net/datasets/kitti/raw_data.php into input, the drives of "
    "data_depth_annotated.zip, from its train and val, into gt_depth, and the lists kitti_eigen_train.txt and "
    "kitti_eigen_test.txt of the Monocular Depth Estimation Toolbox beside them",
    read=read,
    parts=(whole_archive("kitti", ARCHIVE),),
    gigabytes=45.0,  # estimated: the left colour images of these drives
    mini=MiniVersion(
        "wide rooms",
        (6, 3),  # train, test rooms
        write_mini,
        real="the photographs that surfaces are covered with, in KITTI's layout",
        rendered="images and depth",
        example=False,
    ),
)
