"""Folders of weights: those of Hugging Face, timm, open_clip and torch's distributed checkpoints; sharded files."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from umt.backbones.containers.files import Container, open_file, open_zip
from umt.backbones.containers.pickles import StandIn, unpickle
from umt.declarations import read_json
from umt.errors import WeightsError
from umt.files import below, open_plain, visible_entries

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WEIGHTS = (
    "model.safetensors",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "mp_rank_00_model_states.pt",
    "model.pth",
    "model.pt",
)
FACTS = ("config.json", "preprocessor_config.json", "open_clip_config.json")
DISTRIBUTED = ".metadata"
TYPES = (".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".npz", ".tar")
Box = tuple[int, ...]


def open_container(path: Path) -> Container:
    """Open a file or folder of weights; UMTError if there are none, or more than one file could be meant."""
    try:
        return _opened(path)
    except PermissionError as error:
        raise WeightsError(f"{error.filename or path}: {error.strerror}; let this user read it") from error


def _opened(path: Path) -> Container:
    if path.is_dir():
        return _open_folder(path)
    if path.name.endswith(".index.json"):
        return _sharded(path, _facts(path.parent))
    container = open_file(path)
    facts = _facts(path.parent) if path.name in WEIGHTS else {}
    return Container(path, container.kind, container.content, facts)


def _open_folder(path: Path) -> Container:
    if (path / DISTRIBUTED).is_file():
        return Container(path, "distributed checkpoint", _read_distributed(path))
    for name in INDEXES:
        if (path / name).is_file():
            return _sharded(path / name, _facts(path))
    file = _only_file(path)
    container = open_file(file)
    return Container(file, f"folder with {container.kind}", container.content, _facts(path))


def _only_file(path: Path) -> Path:
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    files = [file for file in map(Path, visible_entries(path)) if file.suffix in TYPES and file.is_file()]
    if len(files) == 1:
        return files[0]
    content = f"weight files {', '.join(file.name for file in files[:5])}" if files else "no weight file"
    raise WeightsError(f"{path}: the folder holds {content}; name one file")


def _facts(folder: Path) -> dict[str, Any]:
    return {
        name: read_json(folder / name, "a description of a model", "correct it or remove it")
        for name in FACTS
        if (folder / name).is_file()
    }


def _sharded(index: Path, facts: Mapping[str, Any]) -> Container:
    """Read all files that an index names, each beside it."""
    names = read_json(index, "an index of weight files", "copy it again").get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise WeightsError(f"{index}: field 'weight_map' names no files; copy it again")
    state: dict[str, Any] = {}
    files = sorted(set(names.values()))
    for name in files:
        shard = open_file(below(index.parent, name, links=True)).content
        if not isinstance(shard, Mapping):
            raise WeightsError(f"{index.parent / name}: holds no tensors by name; copy it again")
        state |= shard
    missing = names.keys() - state.keys()
    if missing:
        raise WeightsError(f"{index}: tensor '{min(missing)}' is in none of its {len(files)} files; copy them again")
    return Container(index, f"{len(files)} files with an index", state, facts)


def _read_distributed(folder: Path) -> dict[str, Any]:
    """Read the tensors of torch.distributed.checkpoint, put together of their pieces."""
    with open_plain(folder / DISTRIBUTED, links=True) as file:
        metadata = unpickle(file, _refuse)
    if not isinstance(metadata, StandIn):
        raise WeightsError(f"{folder / DISTRIBUTED}: describes no distributed checkpoint; copy the folder again")
    state: dict[str, Tensor] = {}
    for index, location in _pairs(metadata.attributes.get("storage_data")):
        name, offset = _attribute(index, "fqn"), _attribute(index, "offset")
        described = dict(_pairs(metadata.attributes.get("state_dict_metadata"))).get(name)
        size = _attribute(described, "size")
        if not isinstance(name, str) or not isinstance(size, (tuple, torch.Size)):
            continue  # bytes of an optimiser or a counter, not a tensor
        piece = _piece(folder, location)
        tensor = state.setdefault(name, piece if piece.shape == size else torch.empty(size, dtype=piece.dtype))
        if tensor is not piece:
            corner = tuple(offset) if offset is not None else (0,) * piece.dim()
            tensor[tuple(slice(at, at + side) for at, side in zip(corner, piece.shape, strict=True))] = piece
    return state


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _attribute(value: Any, name: str) -> Any:
    return value.attributes.get(name) if isinstance(value, StandIn) else None


def _piece(folder: Path, location: Any) -> Tensor:
    """Read a tensor that lies in a file of the folder, in torch's own format from an offset on."""
    name, offset, length = (_attribute(location, part) for part in ("relative_path", "offset", "length"))
    with open_plain(below(folder, str(name), links=True), links=True) as file:
        file.seek(int(offset))
        content = file.read(int(length))
    value = open_zip(BytesIO(content), torch.frombuffer(bytearray(content), dtype=torch.uint8).untyped_storage())
    if not isinstance(value, Tensor):
        raise WeightsError(f"{folder / str(name)}: a piece is no tensor; copy the folder again")
    return value


def _refuse(key: str, size: int) -> Any:
    raise ValueError("a description holds no tensors")
