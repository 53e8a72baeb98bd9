"""A hostile pickle at every door through which a file comes in from outside: it never runs, and its file is named."""

from __future__ import annotations

import json
import pickle
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image

from benchmarks.results import read_result
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.finetune_settings import FinetuneSettings
from mmseg_configs.loading import LoadCheckedImage, LoadCheckedLabels
from umt.backbones import create_backbone
from umt.cli import cli
from umt.data.images import decode
from umt.data.sets.nyuv2 import FIELDS, labelled_items, read_splits
from umt.data.shards.devkit import DEVKIT, META, TRUTH, read_classes
from umt.distill.cache.cache import Shard
from umt.distill.recipe import TeacherSpec, load_recipe
from umt.distill.teachers.teacher import load_teacher
from umt.errors import UMTError
from umt.feature_cache.entry import CacheEntry

TEACHER = "timm:test_resnet?pretrained=false"
Door = Callable[[Path], object]


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def plain(evil: Evil) -> bytes:
    return pickle.dumps({"state_dict": evil, "format": "umt"})


def zipped(evil: Evil) -> bytes:
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1), "x": evil}}, buffer := BytesIO())
    return buffer.getvalue()


def legacy(evil: Evil) -> bytes:
    torch.save({"model": evil}, buffer := BytesIO(), _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def array(evil: Evil) -> bytes:
    np.save(buffer := BytesIO(), np.array([evil], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def tagged(evil: Evil) -> bytes:
    """YAML's way to run code."""
    return f"a: !!python/object/apply:os.mknod ['{evil.marker}']".encode()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


@pytest.mark.parametrize("make", [plain, legacy, array])
def test_the_pickles_are_hostile(marker: Path, make: Callable[[Evil], bytes]) -> None:
    """Read as a careless program reads it, each makes the file that the tests below look for."""
    content = BytesIO(make(Evil(marker)))
    if make is plain:
        pickle.load(content)
    elif make is array:
        np.load(content, allow_pickle=True)
    else:
        torch.load(content, weights_only=False)
    assert marker.exists()


def test_the_yaml_is_hostile(marker: Path) -> None:
    yaml.unsafe_load(tagged(Evil(marker)))
    assert marker.exists()


WEIGHTS: dict[str, Door] = {
    "head of a checkpoint": lambda path: create_backbone(f"{path}#dino"),
    "weights of a timm model": lambda path: create_backbone(f"timm:test_resnet?weights={path}"),
    "timm's own option": lambda path: create_backbone(f"{TEACHER}&checkpoint_path={path}"),
    "timm's own configuration": lambda path: create_backbone(
        f"timm:test_resnet?pretrained_cfg_overlay={{file: '{path}'}}"
    ),
    "weights of an open_clip model": lambda path: create_backbone(f"open_clip:RN50?weights={path}"),
    "open_clip's own tag": lambda path: create_backbone(f"open_clip:RN50/{path}"),
    "weights of a teacher": lambda path: load_teacher(
        TeacherSpec("mae", "mae", "timm:test_resnet", path.name), path.parent, 64, (2, 2)
    ),
}


@pytest.mark.parametrize("make", [plain, zipped, legacy])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_checkpoints(tmp_path: Path, marker: Path, suffix: str, make: Callable[[Evil], bytes]) -> None:
    path = tmp_path / f"evil{suffix}"
    path.write_bytes(make(Evil(marker)))
    with pytest.raises(UMTError, match=rf"evil\{suffix}: (refused|truncated or not a weight file)"):
        create_backbone(str(path))
    assert not marker.exists()


@pytest.mark.parametrize("door", WEIGHTS)
def test_weights(tmp_path: Path, marker: Path, door: str) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(zipped(Evil(marker)))
    with pytest.raises(UMTError, match="evil"):
        WEIGHTS[door](path)
    assert not marker.exists()


def cached_features(path: Path) -> None:
    """A header that vouches for the file: whoever can write one can write the other."""
    entry = CacheEntry(path.parent, path.stem)
    entry.header.write_text(json.dumps({"crc32": crc32(path.read_bytes()), "key": {}, "shape": [1]}))
    if entry.read({}, (1,)) is None:  # to be computed again, as any damaged entry
        raise UMTError(f"{path}: damaged")


def class_map(path: Path) -> None:
    Image.new("RGB", (2, 2)).save(path.parent / "image.png")
    results = {"img_path": str(path.parent / "image.png"), "seg_map_path": str(path), "seg_fields": []}
    LoadCheckedLabels().transform(LoadCheckedImage().transform(results))


def devkit(path: Path) -> None:
    truth = path.parent / "truth.txt"
    truth.write_text("1\n")
    with tarfile.open(path.parent / DEVKIT, "w:gz") as tar:
        tar.add(truth, TRUTH)
        tar.add(path, META)
    read_classes(path.parent / DEVKIT)


FILES: dict[str, tuple[str, Door]] = {
    "shard of cached teachers": ("shard-00000.safetensors", lambda path: Shard(path, "0" * 16)),
    "cached features": ("features.npy", cached_features),
    "splits of NYUv2": ("splits.mat", read_splits),
    "pairs of NYUv2": ("labelled.mat", lambda path: list(labelled_items(path, FIELDS))),
    "classes of ImageNet": ("meta.mat", devkit),
    "image": ("photo.jpg", decode),
    "class map": ("map.png", class_map),
    "result": ("result.json", read_result),
    "recipe": ("recipe.yaml", lambda path: load_recipe(str(path))),
    "suite": ("suite.yaml", lambda path: load_suite(str(path))),
    "protocol": ("paper.yaml", lambda path: load_protocol("imagenet_finetune", str(path), FinetuneSettings)),
}


@pytest.mark.parametrize("make", [plain, zipped, array, tagged])
@pytest.mark.parametrize("door", FILES)
def test_files(tmp_path: Path, marker: Path, door: str, make: Callable[[Evil], bytes]) -> None:
    name, read = FILES[door]
    path = tmp_path / name
    path.write_bytes(make(Evil(marker)))
    with pytest.raises(UMTError, match=name.replace(".", r"\.")):
        read(path)
    assert not marker.exists()


@pytest.fixture
def distillation(tmp_path: Path) -> list[str]:
    """`umt distill` of random stand-ins on four pictures, two steps, into tmp_path/out."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (40, 40, 3), np.uint8)).save(
            folder / f"{index}.png"
        )
    recipe = {
        "about": "a stand-in",
        "student": "timm:test_resnet",
        "teachers": [{"name": "cls", "objective": "classification", "backbone": TEACHER}],
        "interaction": {"groups": 8},
        "views": {"size": 32},
        "training": {"epochs": 2, "batch": 4, "device_batch": 4, "lr": 0.001, "warmup_epochs": 0, "weight_decay": 0.0,
                     "betas": [0.9, 0.95], "clip_norm": 1.0, "precision": "fp32"},
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    options = {"recipe": tmp_path / "tiny.yaml", "images": folder, "out": tmp_path / "out", "device": "cpu"}
    return ["distill", *(text for name, value in options.items() for text in (f"--{name}", str(value)))]


def run(arguments: list[str]) -> Any:
    return CliRunner().invoke(cli, arguments)


def test_a_run_goes_on_once_the_hostile_save_is_gone(tmp_path: Path, marker: Path, distillation: list[str]) -> None:
    """mmengine's own pointer to a checkpoint, put beside it, is not followed either."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "resume.pth").write_bytes(zipped(Evil(marker)))
    (out / "iter_1.pth").write_bytes(zipped(Evil(marker)))
    (out / "last_checkpoint").write_text(str(out / "iter_1.pth"))
    refused = run(distillation)
    assert isinstance(refused.exception, UMTError)
    assert str(refused.exception).startswith(f"{out / 'resume.pth'}: refused")
    assert str(refused.exception).endswith("or remove it to start the run anew")
    (out / "resume.pth").unlink()
    mended = run(distillation)
    assert mended.exit_code == 0, mended.output
    create_backbone(str(out / "student.pth"))
    assert not marker.exists()


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1], {}])
def test_a_save_of_something_else_is_named(tmp_path: Path, distillation: list[str], content: object) -> None:
    (tmp_path / "out").mkdir()
    torch.save(content, tmp_path / "out" / "resume.pth")
    refused = run(distillation)
    assert isinstance(refused.exception, UMTError)
    assert str(refused.exception).endswith("resume.pth: is no saved run; remove it to start the run anew")


def test_the_record_of_a_run_cannot_run(tmp_path: Path, marker: Path, distillation: list[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recipe.yaml").write_bytes(tagged(Evil(marker)))
    refused = run(distillation)
    assert isinstance(refused.exception, UMTError)
    assert "recipe.yaml: not valid YAML" in str(refused.exception)
    assert not marker.exists()


def test_a_suite_names_the_hostile_checkpoint_before_it_computes(tmp_path: Path, marker: Path) -> None:
    path, empty = tmp_path / "evil.pth", tmp_path / "empty"
    path.write_bytes(zipped(Evil(marker)))
    empty.mkdir()
    options = ["--suite", "mini", "--tasks", "knn", "--data-root", str(empty), "--out", str(tmp_path / "out")]
    refused = run(["run", str(path), *options])
    assert not marker.exists()
    assert refused.exit_code != 0
    assert "evil.pth: refused" in " ".join([refused.output, str(refused.exception)]).replace("\n", "")
    assert not list(tmp_path.glob("out/results/*/*.json"))
