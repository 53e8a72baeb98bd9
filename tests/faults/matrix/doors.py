"""The doors through which files come in: each makes a sound file, and reads it as the product does."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import save_file
from torchvision.transforms.functional import to_tensor

from benchmarks.results import ResultStore, read_result
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import FOLDER as SUITES
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.finetune_settings import FinetuneSettings
from matrix.cells import AsBefore, Door, Either, Elsewhere, Named, Never
from matrix.run_doors import RUN_DOORS
from matrix.samples import OWN_NAME, a_result, picture
from reports.results.store import read_store
from umt.backbones import create_backbone, registry
from umt.backbones.checkpoint import save_checkpoint
from umt.cli import cli
from umt.data.contract import Dataset, Sample
from umt.data.image_list import find_images
from umt.data.images import ImageSamples
from umt.data.registry import dataset_info
from umt.distill.recipe import FOLDER as RECIPES
from umt.distill.recipe import load_recipe
from umt.feature_cache.folder import stored_entries
from umt.feature_cache.lookup import cached_features
from umt.features import Extraction

TINY = "timm:test_resnet?pretrained=false"
CUB = {
    "classes.txt": "1 001.Bird\n2 002.Élan\n",
    "images.txt": "1 001.Bird/a.jpg\n2 001.Bird/b.jpg\n3 002.Élan/c.jpg\n4 002.Élan/d.jpg\n",
    "image_class_labels.txt": "1 1\n2 1\n3 2\n4 2\n",
    "train_test_split.txt": "1 1\n2 0\n3 1\n4 0\n",
}
PLUGIN = """
from umt.backbones import Backbone, create_backbone


def make() -> Backbone:
    \"\"\"Gives a small one. é\"\"\"
    return create_backbone("timm:test_resnet?pretrained=false")
"""
FRESH = count()
OWN = {"name": "", "source": ""}  # what is called after its file


def make_checkpoint(folder: Path) -> Path:
    save_checkpoint(folder / "student.pth", create_backbone(TINY), provenance={"recipe": {}})
    return folder / "student.pth"


def weights_hash(path: Path) -> str:
    return create_backbone(str(path)).weights_hash()


def make_image(folder: Path) -> Path:
    picture(folder / "sound.png", seed=1)
    return picture(folder / "photo.png")


def read_image(path: Path) -> Any:
    """Read the image beside it too, which no fault may hide, and the list of both."""
    samples = ImageSamples([Sample(path, 0), Sample(path.with_name("sound.png"), 1)], to_tensor)
    assert samples[1][1] == 1
    if os.access(path, os.R_OK, effective_ids=True) and path.is_file():
        assert len(find_images(path.parent)) == 2
    return samples[0][0].sum().item()


def make_list(folder: Path) -> Path:
    for name, text in CUB.items():
        (folder / name).write_text(text, encoding="utf-8")
    for line in CUB["images.txt"].splitlines():
        picture(folder / "images" / line.split()[1], side=4)
    return folder / "images.txt"


def read_list(path: Path) -> Any:
    dataset = Dataset(dataset_info("cub"), path.parent)
    return [(str(sample.image), sample.target) for split in ("train", "test") for sample in dataset.samples(split)]


def make_archive(folder: Path) -> Path:
    (folder / "CUB_200_2011").mkdir()
    make_list(folder / "CUB_200_2011")
    with tarfile.open(folder / "CUB_200_2011.tgz", "w:gz") as tar:
        tar.add(folder / "CUB_200_2011", "CUB_200_2011")
    shutil.rmtree(folder / "CUB_200_2011")
    return folder / "CUB_200_2011.tgz"


def prepare(path: Path) -> Any:
    """Prepare the data set of the archive; nothing half done may be left."""
    root = path.parent.parent / f"data-{next(FRESH)}"
    done = CliRunner().invoke(cli, ["data", "prepare", "cub", "--from", str(path), "--data-root", str(root)])
    found = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.*") if file.suffix != ".lock")
    if done.exit_code:
        assert not [name for name in found if not name.startswith(".")]
        raise done.exception or AssertionError(done.output)
    return found


def make_result(folder: Path) -> Path:
    store = ResultStore(folder / "results")
    store.write(a_result("sound"))
    return store.write(a_result("damaged"))


def read_results(path: Path) -> Any:
    """Read the whole store, where the other result stays, and then the file."""
    results, problems = read_store(path.parents[1])
    assert "sound" in {result.key.backbone for result in results}
    if problems:
        raise problems[0]
    return asdict(read_result(path))


def copied(source: Path) -> Callable[[Path], Path]:
    """Copy a shipped YAML file, with a letter outside of ASCII in a comment."""

    def make(folder: Path) -> Path:
        path = folder / f"my-{source.name}"
        path.write_text(
            "# é\n" + yaml.safe_dump(yaml.safe_load(source.read_text()), allow_unicode=True) + "# é\n", "utf-8"
        )
        return path

    return make


PROTOCOL = SUITES.parents[1] / "tasks/protocols/imagenet_finetune/paper.yaml"


def cache_arguments(folder: Path) -> Any:
    backbone = create_backbone(TINY)
    samples = [Sample(folder / "photos" / f"{index}.png", index) for index in range(4)]
    return backbone, samples, Extraction(32), ["pooled"], torch.device("cpu"), 2, lambda *_: None


def make_cache(folder: Path) -> Path:
    photos = folder / "photos"
    for index in range(4):
        picture(photos / f"{index}.png", index)
    (folder / "cache").mkdir(mode=0o777)
    (folder / "cache").chmod(0o777)
    cached_features(*cache_arguments(folder), folder / "cache")
    (array,) = (folder / "cache").glob("*.npy")
    return array


def read_cache(path: Path) -> Any:
    """Ask for the features; the list of the cache works as well."""
    (features,) = cached_features(*cache_arguments(path.parents[1]), path.parent)
    if os.access(path.parent, os.R_OK | os.X_OK, effective_ids=True):
        stored_entries(path.parent)
    return features.tolist()


def make_weights(folder: Path) -> Path:
    backbone = create_backbone(TINY)
    save_file({name: value.clone() for name, value in backbone.model.state_dict().items()}, folder / "w.safetensors")
    about = {"architecture": "test_resnet", "num_classes": 0}
    (folder / "config.json").write_text(json.dumps(about))
    return folder / "w.safetensors"


def make_plugin(folder: Path) -> Path:
    (folder / "mine.py").write_text(PLUGIN, encoding="utf-8")
    return folder / "mine.py"


def read_plugin(path: Path) -> Any:
    registry._module_from_file.cache_clear()  # as another process would find it
    return create_backbone(f"{path}:make", trusted=True).weights_hash()


HALF_TEXT = {"truncated/one": AsBefore("the last byte ends a line")}

DOORS = (
    Door(
        "checkpoint",
        "`create_backbone(FILE)`",
        make_checkpoint,
        weights_hash,
        {
            "not UTF-8": Named("a flipped byte is found by the checksums"),
            "hostile": Elsewhere("faults/files/test_pickles.py::test_checkpoints", "code is refused, and does not run"),
        },
    ),
    Door(
        "image",
        "`ImageSamples`, `find_images`",
        make_image,
        read_image,
        {
            "truncated/one": AsBefore("the last byte is of a checksum behind the picture"),
            "huge": AsBefore("what follows the picture is not read"),
            "hostile": Elsewhere("faults/files/test_odd_images.py::test_broken_images_are_named", "a bomb is named"),
        },
    ),
    Door(
        "list",
        "`Dataset.samples`",
        make_list,
        read_list,
        {
            **HALF_TEXT,
            "odd name": Never(OWN_NAME),
            "hostile": Elsewhere("faults/files/test_lists.py::test_cub", "paths outside its folder are named"),
        },
    ),
    Door(
        "archive",
        "`umt data prepare --from FILE`",
        make_archive,
        prepare,
        {
            "hostile": Elsewhere(
                "faults/files/test_archives.py::test_hostile_archives", "refused by its first bad entry"
            )
        },
    ),
    Door(
        "result",
        "`read_store`, `read_result`",
        make_result,
        read_results,
        {
            "hostile": Elsewhere(
                "reports/results/test_store.py::test_hostile_files_are_named_and_hide_nothing", "left out, by name"
            )
        },
    ),
    Door(
        "recipe",
        "`load_recipe`",
        copied(RECIPES / "mini-cnn.yaml"),
        lambda path: asdict(load_recipe(str(path))) | OWN,
        {
            **HALF_TEXT,
            "hostile": Elsewhere(
                "faults/files/test_trust.py::test_recipes_run_no_code_unless_they_are_trusted", "runs no code"
            ),
        },
    ),
    Door(
        "suite",
        "`load_suite`",
        copied(SUITES / "mini.yaml"),
        lambda path: asdict(load_suite(str(path))) | OWN,
        {
            **HALF_TEXT,
            "hostile": Elsewhere("benchmarks/test_actions.py::test_a_suite_holds_no_commands", "holds no commands"),
        },
    ),
    Door(
        "protocol",
        "`load_protocol`",
        copied(PROTOCOL),
        lambda path: asdict(load_protocol("imagenet_finetune", str(path), FinetuneSettings)) | OWN,
        {
            **HALF_TEXT,
            "hostile": Elsewhere("faults/files/test_any_text.py::test_text_that_is_hardly_yaml", "makes no objects"),
        },
    ),
    Door(
        "cache",
        "`cached_features`",
        make_cache,
        read_cache,
        {
            **dict.fromkeys(
                ("missing", "empty", "truncated", "wrong type", "unreadable", "dangling", "huge", "not UTF-8"),
                AsBefore("computed again"),
            ),
            "wrong type/folder": Named("named: a folder, which no program of ours makes, is not removed"),
            "changing": Either("named, or computed again"),
            "odd name": Never(OWN_NAME),
            "hostile": Elsewhere(
                "umt/feature_cache/test_lookup.py::test_an_entry_in_place_of_another_is_not_believed", "not believed"
            ),
        },
    ),
    Door(
        "weights folder",
        "`create_backbone(FOLDER)`",
        make_weights,
        lambda path: weights_hash(path.parent),
        {
            "hostile": Elsewhere(
                "umt/backbones/containers/test_containers.py::test_files_with_an_index", "no file outside is read"
            )
        },
    ),
    Door(
        "plug-in",
        "`create_backbone(FILE.py:make)`",
        make_plugin,
        read_plugin,
        {
            **HALF_TEXT,
            "hostile": Elsewhere("umt/backbones/test_trust.py::test_code_is_refused_by_default", "needs to be trusted"),
        },
    ),
    *RUN_DOORS,
)
