"""Heads of a checkpoint as backbones: what they give, what a file must hold, and what it must not choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from umt.backbones import create_backbone
from umt.backbones.check import check_backbone
from umt.backbones.checkpoint import plain_name, read_checkpoint, save_checkpoint
from umt.distill.distiller import Distiller, as_floats
from umt.distill.recipe import DistillRecipe
from umt.distill.train import save_student
from umt.errors import UMTError

STUDENTS = {"cnn": "timm:test_resnet", "vit": "timm:test_vit?img_size=64"}
Saved = Callable[..., tuple[Path, Distiller]]


@pytest.fixture
def saved(tmp_path: Path, recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]) -> Saved:
    """A checkpoint of an untrained student, and the distiller that it was saved from."""

    def save(student: str, *changes: str) -> tuple[Path, Distiller]:
        spec = recipe("interaction.heads=4", *changes, student=STUDENTS[student])
        model = distiller(spec).eval()
        if model.standardisers is not None:
            images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(3))
            model.standardisers.fit([{teacher.name: teacher(images) for teacher in model.teachers}])
        save_student(tmp_path / "ckpt.pth", spec, model, {"images": 0}, {"losses": {}})
        return tmp_path / "ckpt.pth", model

    return save


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("method", ["umt", "projectors"])
def test_a_head_gives_what_the_distiller_aligned(student: str, method: str, saved: Saved, images: torch.Tensor) -> None:
    path, model = saved(student, f"interaction.method={method}")
    spaces = model.spaces(model.student(as_floats(images)))
    for name, space in spaces.items():
        features = create_backbone(f"{path}#{name}")(images)
        assert torch.allclose(features.pooled, space.summary, atol=1e-5)
        assert torch.allclose(features.maps[-1], space.fmap, atol=1e-5)
        if space.cls is not None:
            assert torch.allclose(features.cls, space.cls, atol=1e-5)


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize(
    "changes",
    [(), ("interaction.method=projectors",), ("interaction.model_token=false",), ("alignment.standardise=phi_s",)],
)
def test_a_head_keeps_the_backbone_contract(student: str, changes: tuple[str, ...], saved: Saved) -> None:
    path, _ = saved(student, *changes)
    backbone = create_backbone(f"{path}#lite2")
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("interaction.method=projectors",),
        ("interaction.model_token=false",),
        ("alignment.standardise=phi_s",),
        ("alignment.standardise=mean_std", "interaction.model_token=false"),
    ],
)
def test_a_file_alone_is_the_student_as_its_recipe_reads_it_out(
    student: str, changes: tuple[str, ...], saved: Saved, images: torch.Tensor
) -> None:
    path, model = saved(student, "readout.classification=lite0", "readout.dense=lite2", *changes)
    spaces = model.spaces(model.student(as_floats(images)))
    if model.standardisers is not None:
        spaces = {name: model.standardisers.undo(name, space) for name, space in spaces.items()}
    backbone = create_backbone(str(path))
    features = backbone(images)
    pooled = spaces["lite0"].fmap.mean(dim=(2, 3)) if spaces["lite0"].summary is None else spaces["lite0"].summary
    assert torch.allclose(features.pooled, pooled, atol=1e-5)
    assert torch.allclose(features.maps[-1], spaces["lite2"].fmap, atol=1e-5)
    assert backbone.provenance["readout"] == {"classification": "lite0", "dense": "lite2"}
    assert "space" not in backbone.provenance, "it is no single head"
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []


def test_the_readout_by_one_head_is_this_head(saved: Saved, images: torch.Tensor) -> None:
    path, _ = saved("cnn", "alignment.standardise=mean_std")
    read_out, head = create_backbone(str(path)), create_backbone(f"{path}#lite2")
    assert read_out.weights_hash() == head.weights_hash()
    assert read_out.provenance == head.provenance
    assert (read_out.provenance["space"], read_out.provenance["space_kind"]) == ("lite2", "dino")


def test_the_plain_student_has_a_name(saved: Saved, images: torch.Tensor) -> None:
    path, model = saved("cnn")
    plain = create_backbone(f"{path}#backbone")
    assert torch.equal(plain(images).pooled, model.student(images).pooled)
    assert not plain.provenance.keys() & {"space", "readout"}
    assert plain_name(str(path)) == f"{path}#backbone"
    assert plain_name(f"{path}#lite0") == f"{path}#lite0"


def test_a_file_without_a_readout_is_the_plain_student(saved: Saved, images: torch.Tensor) -> None:
    """As files of version 0.1 are."""
    path, model = saved("cnn", "readout=null")
    assert torch.equal(create_backbone(str(path))(images).pooled, model.student(images).pooled)
    assert plain_name(str(path)) == str(path)


def test_maps_before_the_last_are_the_students_own_in_any_order(saved: Saved, images: torch.Tensor) -> None:
    path, model = saved("vit")
    backbone = create_backbone(f"{path}#lite2")
    own = model.student(images)
    space = model.spaces(own)["lite2"]
    features = backbone(images, maps=(5, 1, 3))
    for fmap, expected in zip(features.maps, (space.fmap, own.maps[1], own.maps[3]), strict=True):
        assert torch.allclose(fmap, expected, atol=1e-5)
    for token, expected in zip(features.map_cls, (space.cls, own.map_cls[1], own.map_cls[3]), strict=True):
        assert torch.allclose(token, expected, atol=1e-5)


def test_without_a_model_token_a_head_is_its_pooled_features(saved: Saved, images: torch.Tensor) -> None:
    path, _ = saved("cnn", "interaction.model_token=false")
    features = create_backbone(f"{path}#lite0")(images)
    assert torch.allclose(features.pooled, features.maps[-1].mean(dim=(2, 3)))


def test_standardised_heads_answer_in_the_teachers_units(saved: Saved, images: torch.Tensor) -> None:
    path, model = saved("cnn", "alignment.standardise=mean_std")
    space = model.standardisers.undo("lite0", model.spaces(model.student(images))["lite0"])
    assert torch.allclose(create_backbone(f"{path}#lite0")(images).pooled, space.summary, atol=1e-5)
    assert not torch.allclose(space.summary, model.spaces(model.student(images))["lite0"].summary, atol=1e-2)


def test_two_heads_are_two_backbones(saved: Saved) -> None:
    path, _ = saved("cnn")
    hashes = {create_backbone(f"{path}#{tap}").weights_hash() for tap in ("backbone", "lite0", "lite2")}
    assert len(hashes) == 3


def test_an_unknown_head_lists_those_of_the_file(saved: Saved) -> None:
    path, _ = saved("cnn")
    with pytest.raises(UMTError, match=r"unknown head of .*ckpt.pth 'lite1'.*Known: backbone, lite0, lite2"):
        create_backbone(f"{path}#lite1")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("spec", {"rounds": "two"}, "field 'rounds' is 'two', expected int"),
        ("spec", {"command": "rm"}, "unknown field 'command'"),
        ("spaces", [{"name": "lite0"}], "field 'summary' is missing"),
        ("student", None, "field 'interaction.options' is incomplete"),
        ("standardise", "sum", "unknown alignment.standardise 'sum'"),
    ],
)
def test_damaged_options_name_file_and_field(saved: Saved, field: str, value: object, message: str) -> None:
    path, model = saved("cnn")
    checkpoint = read_checkpoint(path)
    options = {**checkpoint.interaction.options, field: value}
    save_checkpoint(
        path,
        model.student,
        spaces=checkpoint.spaces,
        interaction=type(checkpoint.interaction)(options, checkpoint.interaction.state_dict),
    )
    with pytest.raises(UMTError, match=message):
        create_backbone(f"{path}#lite0")


def test_the_checkpoint_says_how_it_was_made(saved: Saved) -> None:
    path, _ = saved("cnn", "training.lr=0.5")
    checkpoint = read_checkpoint(path)
    assert checkpoint.provenance["recipe"]["training"]["lr"] == 0.5
    assert [(space.name, space.kind, space.dim) for space in checkpoint.spaces] == [
        ("lite0", "classification", 64),
        ("lite2", "dino", 64),
    ]
