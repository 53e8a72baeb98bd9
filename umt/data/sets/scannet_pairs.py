"""ScanNet's 1,500 test pairs (Dai et al. 2017; listed by Sarlin et al. 2020) with depth and pose, as LoFTR has them."""

from __future__ import annotations

from functools import cache, partial
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.images import decode, decode_rgb
from umt.data.layouts import gathered
from umt.data.pairs import PosedPair, PosedView
from umt.data.reading import listed_samples
from umt.errors import DataError, LayoutError, first_line
from umt.files import read_plain

MAX_BYTES = 1 << 24  # bytes of a list, of intrinsics or of a pose
MILLIMETRES = 1000.0  # a metre, in the values of a depth map
FRAMES = Archive(
    "scannet_test_1500.tar", get="the README of https://github.com/zju3dv/LoFTR links it", files=40_000, gigabytes=4
)
ASSETS = "https://raw.githubusercontent.com/zju3dv/LoFTR/master/assets/scannet_test_1500"
LISTS = tuple(Archive(name, get=f"download {ASSETS}/{name}", files=1) for name in ("test.npz", "intrinsics.npz"))
REMEDY = "get scannet_test_1500 and both lists again"


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (rooms, frames of a room), each frame with the two that follow it as pairs."""
    from umt.data.mini.rendered.frames import write_rooms  # slow to import

    write_rooms(folder, *counts)


def read(root: Path, split: str) -> list[Sample]:
    """List the pairs in the order of the list, each as its two colour images."""
    path = root / f"{split}.npz"
    rows = _array(path, "name")
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iu":
        raise LayoutError(f"{path}: 'name' is no rows of scene, scan and two frames; {REMEDY}")
    names = [
        tuple(f"scene{scene:04d}_{scan:02d}/color/{frame}.jpg" for frame in frames)
        for scene, scan, *frames in rows.tolist()
    ]
    listed_samples(root, [(name, 0) for name in dict.fromkeys(name for pair in names for name in pair)], path)
    return [Sample(root / source, root / target) for source, target in names]


def read_pair(sample: Sample) -> PosedPair:
    """Read the poses of a pair; UMTError names a file that is missing or wrong."""
    images = (sample.image, Path(str(sample.target)))
    scene = images[0].parents[1]
    intrinsics = _array(scene.parent / "intrinsics.npz", scene.name)
    poses = [_matrix(scene / "pose" / f"{image.stem}.txt") for image in images]
    if intrinsics.shape != (3, 3):
        raise DataError(f"{scene.parent / 'intrinsics.npz'}: '{scene.name}' is no matrix of 3x3; {REMEDY}")
    motion = np.linalg.inv(poses[1]) @ poses[0]
    return PosedPair(
        name=f"{scene.name}/{images[0].stem}-{images[1].stem}",
        images=images,
        motion=motion[:3].astype(np.float32),
        load=partial(load_view, intrinsics=intrinsics.astype(np.float32)),
    )


def load_view(image: Path, size: tuple[int, int], grid: tuple[int, int], intrinsics: np.ndarray) -> PosedView:
    """Load a frame: the whole image in this size, and the depth at every so many pixels, as probe3d takes them."""
    pixels = decode_rgb(image).resize(size[::-1], Image.Resampling.BILINEAR)
    metres = torch.from_numpy(np.asarray(decode(image.parents[1] / "depth" / f"{image.stem}.png")).astype(np.float32))
    depth = torch.nn.functional.interpolate(metres[None, None] / MILLIMETRES, size=grid, mode="nearest")[0, 0].numpy()
    camera = intrinsics.copy()
    camera[:2] *= np.array(grid[::-1], np.float32)[:, None] / np.array(metres.shape[::-1], np.float32)[:, None]
    return PosedView(pil_to_tensor(pixels), back_projected(depth, camera), camera)


def back_projected(depth: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return the points float32 [3, h, w] that a camera sees at the centres of pixels of such depth [h, w]."""
    columns, rows = np.meshgrid(np.arange(depth.shape[1]) + 0.5, np.arange(depth.shape[0]) + 0.5)
    rays = np.stack([columns, rows, np.ones(depth.shape)]).astype(np.float32) * depth
    points: np.ndarray = np.linalg.inv(camera) @ rays.reshape(3, -1)
    return points.reshape(3, *depth.shape)


def _matrix(path: Path) -> np.ndarray:
    """Read the pose of a frame, from its camera to the world."""
    try:
        values = np.loadtxt(BytesIO(read_plain(path, links=True, max_bytes=MAX_BYTES)))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: pose cannot be read ({first_line(error)}); {REMEDY}") from error
    if values.shape != (4, 4) or not np.isfinite(values).all() or abs(np.linalg.det(values)) < 0.5:
        raise DataError(f"{path}: no pose, which is a matrix of 4x4; {REMEDY}")
    return values


def _array(path: Path, name: str) -> np.ndarray:
    """Return an array of an npz file."""
    try:
        return _arrays(path, path.stat().st_mtime_ns)[name]
    except KeyError:
        raise LayoutError(f"{path}: holds no '{name}'; {REMEDY}") from None
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error


@cache
def _arrays(path: Path, changed: int) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file that was last changed then."""
    content = BytesIO(read_plain(path, links=True, max_bytes=MAX_BYTES))
    try:
        with np.load(content, allow_pickle=False) as stored:
            return dict(stored)
    except Exception as error:  # zip and numpy raise many kinds on a damaged file
        raise LayoutError(f"{path}: cannot be read ({first_line(error)}); {REMEDY}") from error


INFO = DatasetInfo(
    name="scannet_pairs",
    title="ScanNet-1500",
    kind="views",
    folder="scannet_test_1500",
    splits={"test": 1500},
    roles=Roles("test", "test"),
    classes=None,
    source="extract scannet_test_1500.tar, which the README of https://github.com/zju3dv/LoFTR links, into the data "
    "root, and put test.npz and intrinsics.npz of its assets into scannet_test_1500",
    read=read,
    pair=read_pair,
    parts=(gathered("scannet_test_1500", FRAMES, *LISTS),),
    gigabytes=1.5,  # estimated
    mini=MiniVersion(
        "rendered rooms",
        (3, 4),  # rooms, frames of each
        write_mini,
        real="the photographs that surfaces are covered with, in the layout of ScanNet's pairs",
        rendered="frames, depth and poses",
        example=False,
    ),
)
