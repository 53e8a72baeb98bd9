"""Data sets by name: the built-in ones, those of packages, variants and folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from benchmarks.suite.protocols import FOLDER
from umt import plugins
from umt.data.contract import KINDS
from umt.data.registry import BUILT_IN, dataset_folder, dataset_info, dataset_names, find_dataset
from umt.data.sets.cub import INFO as CUB
from umt.errors import UMTError

BIRDS = replace(CUB, name="birds")


@pytest.mark.parametrize("name", BUILT_IN)
def test_declarations_are_complete(name: str) -> None:
    info = dataset_info(name)
    assert info.name == name
    assert info.kind in KINDS
    assert "https://" in info.source or "http://" in info.source
    assert (info.classes is None) == (info.kind not in ("classification", "multilabel", "segmentation"))
    assert info.parts
    assert info.gigabytes


def test_an_unknown_name_is_answered_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match=r"unknown data set 'caltech'\. Did you mean caltech101\?"):
        find_dataset("caltech", tmp_path)


def test_a_missing_set_says_where_it_is_expected_and_whence_it_comes(tmp_path: Path) -> None:
    with pytest.raises(
        UMTError, match=r"CUB_200_2011: CUB-200-2011 is not there; extract CUB_200_2011\.tgz from https"
    ):
        find_dataset("cub", tmp_path)


def test_an_override_wins(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    folder = make_image(tmp_path / "data/imagenet/train/n01/a.jpg").parents[2]
    assert find_dataset("imagenet", tmp_path / "nowhere", {"imagenet": folder}).root == folder
    info = dataset_info("caltech101?draw=published")
    assert dataset_folder(info, tmp_path, {"caltech101": folder}) == folder


def test_a_set_without_variants_says_so() -> None:
    with pytest.raises(UMTError, match=r"data set 'cub\?draw=published': CUB-200-2011 has no variants; write 'cub'"):
        dataset_info("cub?draw=published")


def test_a_package_adds_a_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "birds")
    assert dataset_info("birds") is BIRDS
    assert dataset_names() == [*BUILT_IN, "birds"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cub", "'cub' is offered twice, by umt-bench itself and by"),
        ("folder", "'folder' is offered twice, by umt-bench itself and by"),
        ("owls", "data set 'owls' of .* calls itself 'birds'"),
    ],
)
def test_a_package_with_a_wrong_name_is_named(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    offer(monkeypatch, name)
    with pytest.raises(UMTError, match=message):
        dataset_info("owls")


def offer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Offer BIRDS under a name, as an installed package does."""
    point = EntryPoint(name, f"{__name__}:BIRDS", "umt.datasets")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == "umt.datasets" else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: BIRDS)


def test_prompts_change_only_with_the_version_of_their_protocol() -> None:
    """Prompts change numbers and are no setting, so that the version of `zeroshot/paper` must tell them apart."""
    prompts = {name: dataset_info(name).prompts for name in BUILT_IN if dataset_info(name).prompts}
    assert [*prompts] == ["aircraft", "caltech101", "cub", "imagenet"]
    digest = hashlib.sha256(json.dumps(prompts, sort_keys=True).encode()).hexdigest()[:12]
    version = yaml.safe_load((FOLDER / "zeroshot" / "paper.yaml").read_text())["version"]
    assert (version, digest) == (1, "e5fe22cc66af")


def test_a_folder_in_the_folder_of_its_name_is_found(tmp_path: Path) -> None:
    """As an archive that was unpacked into a folder of its own name leaves it."""
    inner = tmp_path / "CUB_200_2011" / "CUB_200_2011"
    inner.mkdir(parents=True)
    assert find_dataset("cub", tmp_path).root == inner
    assert find_dataset("cub", tmp_path, {"cub": tmp_path / "CUB_200_2011"}).root == inner
    labelled = tmp_path / "dogs" / "dogs"
    labelled.mkdir(parents=True)
    assert find_dataset(f"folder:{tmp_path / 'dogs'}", tmp_path).root == tmp_path / "dogs", "a class may have this name"
