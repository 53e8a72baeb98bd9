"""A data set in tars is the data set in folders: items, order, fingerprint, pixels, features and results."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from rich.progress import Progress
from torch.utils.data import DataLoader
from torchvision.transforms.functional import pil_to_tensor, resize

from benchmarks.results import ResultStore, read_result
from umt.backbones import Backbone, create_backbone
from umt.cli import cli
from umt.data.checks.items import validate
from umt.data.checks.verify import verify
from umt.data.contract import Dataset
from umt.data.image_list import ImageList
from umt.data.images import ImageSamples
from umt.data.registry import find_dataset
from umt.data.shards import lookup
from umt.errors import UMTError
from umt.features import eval_images, run_over

FORMS = ("classes", "nested", "folders", "cls", "json", "together")
Pack = Callable[[str], Path]


def imagenet(root: Path) -> Dataset:
    return find_dataset("imagenet", root.parent, {"imagenet": root})


def items(dataset: Dataset) -> list[tuple[str, object]]:
    return [
        (str(sample.image.relative_to(dataset.root)), sample.target)
        for split in dataset.info.splits
        for sample in dataset.samples(split)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_tars_are_the_folders(folders: Path, packed: Pack, form: str) -> None:
    from_folders, from_tars = imagenet(folders), imagenet(packed(form))
    validate(from_tars)
    assert items(from_tars) == items(from_folders)
    assert len(items(from_tars)) == 15
    assert from_tars.class_names == from_folders.class_names
    assert from_tars.fingerprint == from_folders.fingerprint
    assert from_tars.sizes == {"train": 9, "val": 6}
    for sample in from_tars.samples("train"):
        with lookup.open_image(sample.image) as file:
            assert file.read() == (folders / sample.image.relative_to(from_tars.root)).read_bytes()


@pytest.mark.parametrize("form", ["classes", "together"])
@pytest.mark.parametrize("query", ["", "?test=0.5&seed=3"])
def test_any_labelled_folder_may_lie_in_tars(folders: Path, packed: Pack, form: str, query: str) -> None:
    part = "train" if query else ""
    if query and form == "together":
        pytest.skip("shards that name a split are not split")
    one, other = (find_dataset(f"folder:{root / part}{query}", folders) for root in (folders, packed(form)))
    assert items(one) == items(other)
    assert one.fingerprint == other.fingerprint


def test_numbered_classes_without_a_list_keep_their_order(packed: Pack) -> None:
    root = packed("cls")
    (root / "classes.txt").unlink()
    dataset = imagenet(root)
    assert dataset.class_names == ["00000", "00001", "00002"]
    assert [sample.target for sample in dataset.reported_samples] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_worker_processes_open_the_tars_themselves(folders: Path, packed: Pack, method: str) -> None:
    loaders = (
        DataLoader(samples(imagenet(folders)), 2),
        DataLoader(samples(imagenet(packed("classes"))), 2, num_workers=2, multiprocessing_context=method),
    )
    assert torch.equal(*(torch.cat([images for images, _ in loader]) for loader in loaders))


def samples(dataset: Dataset) -> ImageSamples:
    return ImageSamples(dataset.samples("train"), small_tensor)


def small_tensor(image: object) -> torch.Tensor:
    return resize(pil_to_tensor(image), [8, 8])


def test_features_are_equal_to_the_last_bit(folders: Path, packed: Pack) -> None:
    backbone = create_backbone("timm:test_vit?pretrained=false")
    one, other = (features(backbone, dataset) for dataset in (imagenet(folders), imagenet(packed("cls"))))
    assert torch.equal(one, other)


def features(backbone: Backbone, dataset: Dataset) -> torch.Tensor:
    images = eval_images(dataset.samples("train"), backbone.preprocess, 64)
    with torch.no_grad():
        return run_over(images, lambda batch: backbone(batch).pooled, torch.device("cpu"), 4, lambda *_: None)


def test_an_image_list_of_tars_has_the_fingerprint_of_the_folders(folders: Path, packed: Pack) -> None:
    digests = [
        ImageList.of_paths([sample.image for sample in imagenet(root).samples("train")], "").digest
        for root in (folders, packed("classes"))
    ]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_results_are_equal_to_the_last_digit(folders: Path, packed: Pack, tmp_path: Path) -> None:
    metrics = []
    for root in (folders, packed("classes")):
        target = tmp_path / f"data-{root.name}" / "pets"
        shutil.copytree(root, target)
        out = tmp_path / f"out-{root.name}"
        arguments = ["--dataset", f"folder:{target}", "--tasks", "knn", "--out", str(out), "--device", "cpu"]
        backbone = ["--backbone", "tiny=timm:test_vit?pretrained=false"]
        outcome = CliRunner().invoke(cli, ["run", "--suite", "mini", *backbone, *arguments], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
        metrics.append([read_result(path).metrics for path in ResultStore(out / "results").paths()])
    assert metrics[0]
    assert metrics[0] == metrics[1]


def test_verify_reads_tars(packed: Pack, tmp_path: Path) -> None:
    root = packed("classes")
    (root / "umt-data.json").write_text(json.dumps({"title": "three classes", "real": "none"}))
    root.rename(tmp_path / "imagenet")
    with Progress(disable=True) as progress:
        assert verify("imagenet", tmp_path, progress).problems == ()
    checksums = json.loads((tmp_path / ".umt-data" / "imagenet.json").read_text())["checksums"]
    name, checksum = next(iter(checksums.items()))
    with lookup.open_image(tmp_path / "imagenet" / name) as file:
        assert checksum == hashlib.sha256(file.read()).hexdigest()
    assert len(checksums) == 15


def test_tars_beside_their_extracted_folders_are_left_alone(folders: Path, packed: Pack) -> None:
    before = imagenet(folders).fingerprint
    for tar in (packed("classes") / "train").iterdir():
        shutil.copy(tar, folders / "train")
    (folders / "train" / "n01440764" / "more.JPEG").write_bytes(b"not in the tar")
    dataset = imagenet(folders)
    assert not lookup.INDICES
    assert len(dataset.samples("train")) == 10
    assert dataset.fingerprint != before


def test_a_tar_that_changes_while_it_is_read_is_named(packed: Pack) -> None:
    dataset = imagenet(packed("classes"))
    sample = dataset.samples("train")[0]
    tar = sample.image.parent.with_suffix(".tar")
    tar.write_bytes(tar.read_bytes() + bytes(512))
    with pytest.raises(UMTError, match=r"n01440764\.tar: has changed since it was indexed; start again"):
        lookup.open_image(sample.image)


def test_an_image_that_no_tar_holds_is_named(packed: Pack) -> None:
    root = packed("classes")
    imagenet(root).samples("train")
    with pytest.raises(UMTError, match=r"gone\.JPEG: is no file, and in no tar of"):
        lookup.open_image(root / "train" / "n01440764" / "gone.JPEG")
    with pytest.raises(FileNotFoundError):
        lookup.open_image(root / "elsewhere" / "n01440764" / "gone.JPEG")


def test_an_extracted_split_is_read_from_its_folders(packed: Pack) -> None:
    root = packed("classes")
    assert len(imagenet(root).samples("val")) == 6
    for tar in sorted((root / "val").glob("*.tar")):
        with tarfile.open(tar) as archive:
            archive.extractall(tar.with_suffix(""), filter="data")
        tar.unlink()
    dataset = imagenet(root)
    assert len(dataset.samples("val")) == 6
    assert root / "val" not in lookup.INDICES
    assert dataset.samples("val")[0].image.is_file()
