"""Data sets by name: those that come with the package, those of other packages, and any labelled folder."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from umt import plugins
from umt.data import folder
from umt.data.contract import Dataset, DatasetInfo
from umt.declarations import scalar
from umt.errors import DeclarationError, LayoutError, UMTError, unknown_name

ENTRY_POINT_GROUP = "umt.datasets"
SETS = Path(__file__).parent / "sets"
MODULES = {path.stem: path.relative_to(SETS).with_suffix("") for path in sorted(SETS.rglob("[a-z]*.py"))}
BUILT_IN = tuple(sorted(MODULES))
RESERVED = (*BUILT_IN, folder.SCHEME)


def dataset_names() -> list[str]:
    """List all data sets that have a name."""
    return [*BUILT_IN, *plugins.installed(ENTRY_POINT_GROUP, RESERVED)]


def dataset_info(text: str) -> DatasetInfo:
    """Return the declaration that `NAME`, `NAME?option=value` or `folder:PATH` names.

    Raises UMTError if the name is unknown or claimed twice, or if an option is wrong.
    """
    name, _, query = text.partition("?")
    options = _options(text, query)
    if name.startswith(f"{folder.SCHEME}:"):
        return folder.folder_info(text, name.partition(":")[2], options)
    info = _declared(name)
    if not options:
        return info
    if info.variant is None:
        raise DeclarationError(f"data set '{text}': {info.title} has no variants; write '{name}'")
    return info.variant(text, options)


def find_dataset(name: str, data_root: Path, overrides: Mapping[str, Path] | None = None) -> Dataset:
    """Find the data set below `data_root`, or at its own folder in `overrides`; UMTError names the expected folder."""
    info = dataset_info(name)
    root = dataset_folder(info, data_root, overrides)
    if not root.is_dir():
        raise LayoutError(f"{root}: {info.title} is not there; {info.source}")
    return Dataset(info, _unwrapped(info, root))


def dataset_folder(info: DatasetInfo, data_root: Path, overrides: Mapping[str, Path] | None = None) -> Path:
    """Return the folder where a data set is expected."""
    return (overrides or {}).get(info.base, data_root / info.folder)


def _unwrapped(info: DatasetInfo, root: Path) -> Path:
    """Return the folder of the layout: an archive unpacked into the folder of its name is there twice."""
    if info.base.startswith(f"{folder.SCHEME}:"):
        return root
    return next(
        (subfolder for name in (Path(info.folder).name, *info.nested) if (subfolder := root / name).is_dir()), root
    )


def _declared(name: str) -> DatasetInfo:
    if name in BUILT_IN:
        plugins.refuse_claims(ENTRY_POINT_GROUP, RESERVED)
        info: DatasetInfo = import_module(".".join(("umt.data.sets", *MODULES[name].parts))).INFO
        return info
    offered = plugins.installed(ENTRY_POINT_GROUP, RESERVED)
    if name not in offered:
        raise unknown_name("data set", name, [*dataset_names(), f"{folder.SCHEME}:PATH"])
    info = plugins.load(offered[name], DatasetInfo)
    if info.name != name:
        raise DeclarationError(f"data set '{name}' of {plugins.about(offered[name])} calls itself '{info.name}'")
    return info


def _options(text: str, query: str) -> dict[str, Any]:
    """Return the options of a query, values read as YAML scalars."""
    try:
        pairs = parse_qsl(query, strict_parsing=True) if query else []
        return {key: scalar(value) for key, value in pairs}
    except (ValueError, UMTError) as error:
        raise DeclarationError(f"data set '{text}': options '{query}' are not key=value pairs joined by '&'") from error
