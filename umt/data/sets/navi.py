"""NAVI (Jampani et al. 2023): photographs of objects with depth and pose, in the pairs that probe3d draws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import center_crop, pil_to_tensor

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.images import opened, to_rgb
from umt.data.pairs import PosedPair, PosedView
from umt.data.prepare.folders import whole_archive
from umt.data.reading import image_names, subfolders
from umt.errors import DataError, LayoutError, first_line
from umt.files import read_plain

WILD = "wild_set"
SHORT_SIDE = 1024  # pixels to which probe3d shrinks photographs first
DISPARITIES = 655_350.0  # millimetres times the value of a depth map
MILLIMETRES = 1000.0
SEED, MAX_ANGLE, STRIDE = 8, 120.0, 4  # probe3d's draw of partners, in degrees, and the share of images it keeps
MAX_BYTES = 1 << 26  # bytes of annotations
REMEDY = "extract navi_v1.tar.gz again"
ARCHIVE = Archive(
    "navi_v1.tar.gz",
    get="download https://storage.googleapis.com/gresearch/navi-dataset/navi_v1.tar.gz",
    files=60_000,
    gigabytes=40,
)


@dataclass(frozen=True)
class Shot:
    """The camera of a photograph."""

    pose: Tensor  # float32 [4, 4], from the object to the camera, in metres
    focal: float  # pixels of the photograph
    size: tuple[int, int]  # its height and width


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (objects, photographs of an object)."""
    from umt.data.mini.rendered.frames import write_objects  # slow to import

    write_objects(folder, *counts)


def read(root: Path, split: str) -> list[Sample]:
    """List every fourth photograph with a partner of its object, drawn among those turned by up to 120 degrees."""
    generator = torch.Generator().manual_seed(SEED)
    pairs = []
    for name in subfolders(root):
        scenes = subfolders(root / name)
        if WILD in scenes and any(scene.startswith("multiview") for scene in scenes):
            pairs.extend(_partners(root / name / WILD, generator))
    return [Sample(*pair) for pair in pairs[::STRIDE]]


def _partners(scene: Path, generator: torch.Generator) -> list[tuple[Path, Path]]:
    """Draw a partner of each photograph of a collection, but itself."""
    images = [scene / "images" / name for name in image_names(scene / "images") if "_" not in name]
    turns = torch.stack([shot_of(image).pose[:3, :3] for image in images])
    partners = []
    for index in range(len(images)):
        traces = (turns[index] @ turns.transpose(1, 2)).diagonal(dim1=1, dim2=2).sum(dim=1)
        angles = (0.5 * traces - 0.5).clamp(-1, 1).acos() * 180 / np.pi
        near = ((angles > 0) & (angles <= MAX_ANGLE)).float()
        near[index] = 0
        if not near.any():
            raise DataError(f"{images[index]}: no other photograph is turned by up to {MAX_ANGLE:g} degrees; {REMEDY}")
        partners.append((images[index], images[int(torch.multinomial(near, 1, generator=generator))]))
    return partners


def read_pair(sample: Sample) -> PosedPair:
    """Read the cameras of a pair."""
    images = (sample.image, Path(str(sample.target)))
    source, target = map(shot_of, images)
    motion = target.pose @ source.pose.inverse()
    return PosedPair(
        name=f"{images[0].parents[2].name}/{images[0].stem}-{images[1].stem}",
        images=images,
        motion=motion[:3].numpy(),
        load=load_view,
    )


def shot_of(image: Path) -> Shot:
    """Return the camera of a photograph; UMTError names the file that does not hold it."""
    path = image.parents[1] / "annotations.json"
    try:
        annotation = _annotations(path, path.stat().st_mtime_ns)[image.name]
        camera = annotation["camera"]
        height, width = map(int, annotation["image_size"])
        focal, rotation, shift = float(camera["focal_length"]), _rotation(camera["q"]), torch.tensor(camera["t"])
        pose = torch.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, shift.float() / MILLIMETRES
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: no camera of {image.name} ({error!r}); {REMEDY}") from error
    if not (pose.isfinite().all() and focal > 0 and min(height, width) > 0):
        raise DataError(f"{path}: the camera of {image.name} is none; {REMEDY}")
    return Shot(pose, focal, (height, width))


@cache
def _annotations(path: Path, changed: int) -> dict[str, Mapping[str, Any]]:
    """Return the annotations by the names of photographs, of a file that was last changed then."""
    try:
        records = json.loads(read_plain(path, links=True, max_bytes=MAX_BYTES))
        return {str(record["filename"]): record for record in records}
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not annotations of photographs ({first_line(error)}); {REMEDY}") from error


def _rotation(quaternion: list[float]) -> Tensor:
    """Return the matrix [3, 3] of a quaternion w, x, y, z."""
    w, x, y, z = torch.tensor(quaternion, dtype=torch.float32)
    s = 2 / (w * w + x * x + y * y + z * z)
    rows = (
        (1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)),
        (s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)),
        (s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row) for row in rows])


def load_view(image: Path, size: tuple[int, int], grid: tuple[int, int]) -> PosedView:
    """Load a photograph as probe3d does: shrunk, its middle square, cut to the object, without smoothing."""
    shot, side = shot_of(image), min(size)
    with opened(image) as photograph:
        pixels = pil_to_tensor(shrunk(to_rgb(ImageOps.exif_transpose(photograph)), Image.Resampling.BILINEAR))
    with opened(image.parents[1] / "depth" / f"{image.stem}.png") as file:
        values = np.asarray(shrunk(ImageOps.exif_transpose(file), Image.Resampling.NEAREST)).astype(np.float32)
    metres = np.divide(DISPARITIES / MILLIMETRES, values, out=np.zeros_like(values), where=values > 0)
    pixels, depth = (_square(tensor, side) for tensor in (pixels, torch.from_numpy(metres)[None]))
    rows, columns = object_box((depth[0] > 0).numpy())
    focal = shot.focal * side / min(shot.size)
    camera = np.diag(np.array((focal, focal, 1), np.float32))
    camera[:2, 2] = side / 2
    points = _back_projected(depth[0], torch.from_numpy(camera))[:, rows, columns]
    cut = pixels[:, rows, columns]
    scale = focal * grid[0] / min(cut.shape[1:])
    return PosedView(
        _nearest(cut.float(), size).byte(),
        _nearest(points, grid).numpy(),
        np.diag(np.array((scale, scale, 1), np.float32)),
    )


def shrunk(image: Image.Image, filter: Image.Resampling) -> Image.Image:
    """Return the image with a shorter side of 1,024 pixels."""
    factor = SHORT_SIDE / min(image.size)
    return image.resize((int(image.width * factor), int(image.height * factor)), filter)


def object_box(mask: np.ndarray) -> tuple[slice, slice]:
    """Return rows and columns of the square around an object in a square [S, S]; it may leave the image at the end."""
    corners = np.argwhere(mask)
    if not len(corners):
        raise DataError("a depth map has no value in the middle square of its photograph; " + REMEDY)
    low, high = corners.min(axis=0), corners.max(axis=0)
    side = (high - low).max()
    padding = side - (high - low)
    centred = low - padding // 2
    start = centred if (centred >= 0).all() and (centred + side <= len(mask)).all() else (low - padding).clip(min=0)
    rows, columns = (slice(int(first), int(first) + max(1, int(side))) for first in start)
    return rows, columns


def _square(tensor: Tensor, side: int) -> Tensor:
    """Return the middle square of an image [C, H, W] whose shorter side becomes `side`, from nearest pixels."""
    height, width = tensor.shape[1:]
    longer = int(side * max(height, width) / min(height, width))
    size = (longer, side) if height > width else (side, longer)
    return center_crop(_nearest(tensor.float(), size), [side, side])


def _nearest(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(tensor[None], size=size, mode="nearest")[0]


def _back_projected(depth: Tensor, camera: Tensor) -> Tensor:
    """Return the points [3, S, S] that a camera sees at the centres of pixels of such depth [S, S]."""
    centres = torch.arange(len(depth)) + 0.5
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    rays = torch.stack([columns, rows, torch.ones_like(rows)]) * depth
    return (camera.inverse() @ rays.flatten(1)).view(3, *depth.shape)


INFO = DatasetInfo(
    name="navi",
    title="NAVI",
    kind="views",
    folder="navi_v1",
    splits={"wild": 0},  # a quarter of the photographs of the collections that are in the wild
    roles=Roles("wild", "wild"),
    classes=None,
    source="extract navi_v1.tar.gz from https://github.com/google/navi into the data root",
    read=read,
    pair=read_pair,
    parts=(whole_archive("navi_v1", ARCHIVE),),
    gigabytes=16.0,
    mini=MiniVersion(
        "rendered objects",
        (3, 8),  # objects, photographs of each
        write_mini,
        real="the photographs that surfaces are covered with, in NAVI's layout",
        rendered="images, depth and poses",
        example=False,
    ),
)
