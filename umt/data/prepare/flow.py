"""The preparation of a data set: find or fetch its files, build its folders beside their target, move them there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from rich.progress import Progress

from umt.console import shown
from umt.data.archives import Archive, Part
from umt.data.checks.record import FOLDER, read_record, write_record
from umt.data.contract import Dataset, DatasetInfo
from umt.data.prepare.download import download
from umt.data.prepare.plain import copy_plain, refuse_odd
from umt.data.reading import class_images, subfolders
from umt.data.registry import dataset_info
from umt.data.shards.lookup import shard_index
from umt.errors import LayoutError, MissingFileError, SourceError, UMTError, WriteError
from umt.locks import lock

DOWNLOADS = "downloads"


@dataclass(frozen=True)
class PreparedFolder:
    """A folder in its place: its items by split, and the files it was made of; none if it was there before."""

    folder: Path
    sizes: Mapping[str, int]
    origin: tuple[str, ...]


def prepare(name: str, data_root: Path, origin: Path | None, progress: Progress) -> list[PreparedFolder]:
    """Build the folders of a set below `data_root` that are not there yet, from `origin` or from the network.

    `origin` is an official archive, a folder of such archives, or a folder in the official layout, which is copied.
    UMTError names a file that is needed, or the mistake in one; then no half-built folder is left.
    """
    info = dataset_info(name)
    if not info.parts:
        raise SourceError(f"data set '{name}': nothing is known to prepare it from; {info.source}")
    state = data_root / FOLDER
    try:
        state.mkdir(parents=True, exist_ok=True)
        with lock(state / f"{name}.lock"):
            outcomes = [
                outcome
                for target in dict.fromkeys(part.target for part in info.parts)
                if (outcome := _prepare_target(info, data_root, target, origin, progress))
            ]
    except OSError as error:
        raise WriteError(f"{data_root}: {name} cannot be prepared ({error}); mend that and start again") from error
    if not outcomes:
        raise SourceError(f"{origin}: holds nothing that {name} is made of; {_demand(info)}")
    return outcomes


def _prepare_target(
    info: DatasetInfo, data_root: Path, target: str, origin: Path | None, progress: Progress
) -> PreparedFolder | None:
    """Prepare one folder; return None if `origin` has nothing for it."""
    target_folder = data_root / target
    if target_folder.is_dir() or (origin is None and shard_index(target_folder)):
        return PreparedFolder(target_folder, _count_there(info, target, target_folder), ())
    if origin is not None and (layout := _find_layout(origin, target)):
        return _build(info, data_root, Part(target, (), partial(_copy, layout, origin)), {}, progress)
    parts = [part for part in info.parts if part.target == target]
    folder = data_root / FOLDER / DOWNLOADS
    files = _find_files(info, parts, origin) if origin else _fetch(parts, folder, progress)
    return _build(info, data_root, *files, progress) if files else None


def _count_there(info: DatasetInfo, target: str, target_folder: Path) -> dict[str, int]:
    try:
        return count_items(info, target, target_folder)
    except UMTError as error:
        raise LayoutError(
            f"{target_folder}: exists and is not in order; move it away and start again ({error})"
        ) from error


def _find_layout(origin: Path, target: str) -> Path | None:
    """Return the folder of `target` at or below `origin`: for `imagenet/val` also `origin/val`, or `origin` itself."""
    path = PurePosixPath(target)
    below = [origin / path, origin / path.name]
    return next(
        (layout for layout in (*below, *([origin] if origin.name == path.name else [])) if layout.is_dir()), None
    )


def _find_files(info: DatasetInfo, parts: list[Part], origin: Path) -> tuple[Part, dict[Archive, Path]] | None:
    """Return the first way whose files are in `origin`, or beside it if it is a file; UMTError if a file is missing.

    Only `origin` itself may be a link, because the user has named it.
    """
    if not origin.exists():
        raise MissingFileError(f"--from {origin}: no such file or folder; {_demand(info)}")
    if not origin.is_dir():
        refuse_odd(origin, links=True)
    if origin.is_file() and _may_have_any_name(info, origin):
        return parts[0], {parts[0].archives[0]: origin}
    folder = origin if origin.is_dir() else origin.parent
    for part in parts:
        archives = [archive for archive in part.archives if os.path.lexists(folder / archive.name)]
        if not archives or (origin.is_file() and origin.name not in [archive.name for archive in archives]):
            continue
        for archive in set(part.archives) - set(archives):
            raise SourceError(f"{folder / archive.name}: is needed beside {archives[0].name}; {archive.remedy}")
        for archive in archives:
            refuse_odd(folder / archive.name, links=folder / archive.name == origin)
        return part, {archive: folder / archive.name for archive in part.archives}
    return None


def _may_have_any_name(info: DatasetInfo, path: Path) -> bool:
    """Return True if the file can only be the one archive of its set."""
    alone = all(len(part.archives) == 1 and part.target == info.parts[0].target for part in info.parts)
    return alone and path.name not in [part.archives[0].name for part in info.parts]


def _fetch(parts: list[Part], folder: Path, progress: Progress) -> tuple[Part, dict[Archive, Path]]:
    """Download the first way whose files all have an address; UMTError tells how to get the files that have none."""
    part = next((part for part in parts if all(archive.url for archive in part.archives)), parts[0])
    return part, {archive: download(archive, folder, progress) for archive in part.archives}


def _build(
    info: DatasetInfo, data_root: Path, part: Part, files: Mapping[Archive, Path], progress: Progress
) -> PreparedFolder:
    """Build in a work folder, count, and move to the target; the work folder is removed in any case."""
    target_folder = data_root / part.target
    beside = (
        target_folder.parent if target_folder.parent.is_dir() else data_root / FOLDER
    )  # on the same disk, for the move
    work = beside / f".partial-{target_folder.name}"
    shutil.rmtree(work, ignore_errors=True)  # left by a run that was killed
    work.mkdir()  # not below a link of that name
    (work / "out").mkdir()
    (work / "scratch").mkdir()
    try:
        part.build(files, work / "out", work / "scratch", progress)
        sizes = _count_new(info, part.target, work / "out", files)
        target_folder.parent.mkdir(parents=True, exist_ok=True)
        (work / "out").rename(target_folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    record = read_record(data_root, info.name)
    origin = tuple(path.name for path in files.values()) or ("a copy",)
    write_record(data_root, info.name, replace(record, prepared={**record.prepared, part.target: origin}, verified=""))
    return PreparedFolder(target_folder, sizes, origin)


def _count_new(info: DatasetInfo, target: str, out: Path, files: Mapping[Archive, Path]) -> dict[str, int]:
    try:
        return count_items(info, target, out)
    except UMTError as error:
        reason = str(error).replace(f"{out}/", "")  # a folder that is gone when this is read
        made_of = ", ".join(map(str, files.values())) or "the folder"
        raise SourceError(f"{made_of}: does not hold the whole set: {reason}") from error


def count_items(info: DatasetInfo, target: str, folder: Path) -> dict[str, int]:
    """Count items by split of a set's folder, or of one split that is a part by itself; UMTError if it is broken."""
    if target == info.folder:
        return {split: len(Dataset(info, folder).samples(split)) for split in info.splits}
    classes = subfolders(folder)
    if not classes:
        raise SourceError(f"{folder}: holds no class folder; {info.source}")
    return {PurePosixPath(target).name: sum(len(class_images(folder / wnid)) for wnid in classes)}


def _copy(
    layout: Path, origin: Path, files: Mapping[Archive, Path], out: Path, scratch: Path, progress: Progress
) -> None:
    """Copy a set in its official layout, unchanged."""
    task = progress.add_task(f"copy {shown(layout.name)}", total=None)
    copy_plain(layout, origin, out)
    progress.remove_task(task)


def _demand(info: DatasetInfo) -> str:
    ways = " or ".join(" with ".join(archive.name for archive in part.archives) for part in info.parts)
    return f"give {ways}, a folder that holds them, or the extracted folder"
