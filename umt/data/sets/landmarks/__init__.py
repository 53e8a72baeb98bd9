"""Landmarks to find again, in the layout of Revisiting Oxford and Paris (Radenovic et al. 2018).

The folder `jpg` holds the images, and gnd_NAME.pkl, or gnd_NAME.json with the same content, names the gallery
(`imlist`), the queries (`qimlist`), and for each query (`gnd`) its box and the gallery images of the same landmark, in
which it is easily seen, hardly, or so little that they count neither as right nor as wrong (`junk`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from umt.backbones.containers.pickles import StandIn, unpickle
from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, LabelledImages, MiniVersion, Roles, Sample
from umt.data.prepare.extract import ArchiveLimits, extract
from umt.data.reading import listed_samples
from umt.declarations import build, read_json
from umt.errors import DataError, LayoutError, SourceError, UMTError, first_line
from umt.files import open_plain

MAX_BYTES = 1 << 24  # of the ground truth; the official ones have less than a megabyte
GROUND_TRUTH = "http://cmp.felk.cvut.cz/revisitop/data/datasets"


@dataclass(frozen=True)
class Judgement:
    """The box of a query, and the gallery images that show its landmark, by their index."""

    bbx: tuple[float, float, float, float]  # left, upper, right, lower edge in pixels
    easy: tuple[int, ...]
    hard: tuple[int, ...]
    junk: tuple[int, ...]


@dataclass(frozen=True)
class GroundTruth:
    """The images of a set by name, and a judgement for each query."""

    imlist: tuple[str, ...]
    qimlist: tuple[str, ...]
    gnd: tuple[Judgement, ...]


def ground_truth(name: str, root: Path) -> tuple[Path, GroundTruth]:
    """Return the file of the ground truth of a set, and its content; UMTError if it is missing, damaged or wrong."""
    stem = root / f"gnd_{name}"
    path = next((path for suffix in (".pkl", ".json") if (path := stem.with_suffix(suffix)).is_file()), None)
    if path is None:
        raise LayoutError(f"{stem}.pkl: file of the data set is missing; get it from {GROUND_TRUTH}/{name}")
    remedy = "get the official file again"
    is_json = path.suffix == ".json"
    content = _known(read_json(path, "a ground truth", remedy)) if is_json else _unpickled(path, remedy)
    try:
        truth = build(GroundTruth, content, path)
    except UMTError as error:
        raise DataError(f"{error}; {remedy}") from error
    _check(truth, path)
    return path, truth


def _unpickled(path: Path, remedy: str) -> dict[str, Any]:
    """Return the fields of a pickle, of which no code runs."""
    try:
        with open_plain(path, links=True, max_bytes=MAX_BYTES) as file:
            return _known(unpickle(file, _no_storage))
    except Exception as error:  # a damaged pickle raises any kind
        raise DataError(f"{path}: not a ground truth ({first_line(error)}); {remedy}") from error


def _no_storage(key: str, size: int) -> Any:
    raise ValueError("it holds tensors")


def _known(content: Any) -> dict[str, Any]:
    """Return the fields that are read, as plain values."""
    record = content if isinstance(content, Mapping) else {}
    queries = record.get("gnd")
    judgements = queries if isinstance(queries, list | tuple) else [{}]
    return {**_fields_of(GroundTruth, record), "gnd": [_fields_of(Judgement, query) for query in judgements]}


def _fields_of(kind: type, record: Any) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    return {name: _plain(record[name]) for name in names if isinstance(record, Mapping) and name in record}


def _plain(value: Any) -> Any:
    """Return numbers that were pickled as NumPy's as Python's; other values as they are."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, StandIn) and value.kind.endswith("multiarray._reconstruct"):
        _, shape, dtype, _, data = value.state
        return _numbers(data, dtype).reshape(shape).tolist()
    if isinstance(value, StandIn) and value.kind.endswith("multiarray.scalar"):
        dtype, data = value.arguments
        return _numbers(data, dtype).item()
    return value


def _numbers(data: Any, dtype: StandIn) -> np.ndarray:
    """Return pickled numbers; protocols before 3 have their bytes as text, or as a call without arguments if empty."""
    content = "".join(data.arguments[:1]).encode("latin1") if isinstance(data, StandIn) else data
    return np.frombuffer(content, np.dtype(str(dtype.arguments[0])))


def _check(truth: GroundTruth, path: Path) -> None:
    if len(truth.gnd) != len(truth.qimlist):
        raise DataError(
            f"{path}: {len(truth.gnd)} judgements of {len(truth.qimlist)} queries; get the official file again"
        )
    for query, judgement in zip(truth.qimlist, truth.gnd, strict=True):
        for index in (*judgement.easy, *judgement.hard, *judgement.junk):
            if not 0 <= index < len(truth.imlist):
                raise DataError(
                    f"{path}: query '{query}' names image {index}, expected 0..{len(truth.imlist) - 1}; "
                    "get the official file again"
                )


def _read(name: str, root: Path, split: str) -> list[Sample] | LabelledImages:
    """List the images of the gallery, or the queries with their boxes and the file that judges them."""
    path, truth = ground_truth(name, root)
    gallery = split == "gallery"
    names = truth.imlist if gallery else truth.qimlist
    samples = listed_samples(root / "jpg", [(f"{image}.jpg", 0) for image in names], path)
    if gallery:
        return LabelledImages.of(samples)
    return [Sample(query.image, path, judged.bbx) for query, judged in zip(samples, truth.gnd, strict=True)]


def landmarks(
    name: str, title: str, images: tuple[Archive, ...], gallery: int, gigabytes: float, seed: int
) -> DatasetInfo:
    """Return the declaration of a set; `seed` places its crops in the embedded data."""
    truth = Archive(f"gnd_{name}.pkl", get=f"get it from {GROUND_TRUTH}/{name}", files=1, gigabytes=0.02)
    return DatasetInfo(
        name=name,
        title=title,
        kind="landmarks",
        folder=name,
        splits={"gallery": gallery, "query": 70},
        roles=Roles("gallery", "query"),
        classes=None,
        source=f"put the images of {' and '.join(archive.name for archive in images)} ({images[0].get}) into jpg, and "
        f"{truth.name} from {GROUND_TRUTH}/{name} beside it",
        read=partial(_read, name),
        parts=(Part(name, (*images, truth), _build),),
        gigabytes=gigabytes,
        mini=MiniVersion(
            f"landmarks {title[1]}",
            (8, 3),  # landmarks, and views of each kind
            partial(_write_mini, name, seed),
            real=f"crops of photographs from scikit-image and scikit-learn, each a landmark, in {title}'s layout",
            example=False,
        ),
    )


def _build(files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress) -> None:
    """Put the images of all archives into one folder, as the authors' script does, and the ground truth beside it."""
    (out / "jpg").mkdir()
    for archive, path in files.items():
        if archive.name.startswith("gnd_"):
            shutil.copyfile(path, out / archive.name)
            continue
        extract(path, scratch / archive.name, ArchiveLimits.of(archive), progress)
        for image in sorted((scratch / archive.name).rglob("*.jpg")):
            if (out / "jpg" / image.name).exists():
                raise SourceError(
                    f"{path}: '{image.name}' is in it twice, or in another archive; get the official ones"
                )
            image.rename(out / "jpg" / image.name)


def _write_mini(name: str, seed: int, folder: Path, counts: tuple[int, int]) -> None:
    from umt.data.mini.landmarks import write_landmarks  # slow to import

    write_landmarks(name, seed, folder, *counts)
