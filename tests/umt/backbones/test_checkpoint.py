"""UMT checkpoints: written whole, read with suspicion, built again exactly."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from umt.backbones import Backbone, create_backbone
from umt.backbones.checkpoint import Interaction, Space, read_checkpoint, save_checkpoint
from umt.errors import UMTError

SPACES = [Space("cls", "classification", "timm:resnet50.tv_in1k", 64), Space("dino", "dino", "timm:x", 96)]


@pytest.fixture
def student() -> Backbone:
    backbone = create_backbone("timm:test_vit?pretrained=false&depth=2&mean=0.5&std=[0.1, 0.2, 0.3]&size=96")
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.01)
    return backbone


@pytest.fixture
def file(student: Backbone, tmp_path: Path) -> Path:
    path = tmp_path / "ckpt.pth"
    interaction = Interaction({"rounds": 2, "groups": 32}, {"gamma.weight": torch.arange(3.0)})
    save_checkpoint(path, student, spaces=SPACES, interaction=interaction, provenance={"seed": 0, "data": ["a", None]})
    return path


@pytest.fixture
def changed(file: Path) -> Callable[[str, Any], Path]:
    """The file with one field (`student.spec`) set to another value, or removed where the value is `...`."""

    def change(field: str, value: Any) -> Path:
        content = torch.load(file, weights_only=True)
        *path, last = field.split(".")
        inner = content
        for part in path:
            inner = inner[int(part) if part.isdigit() else part]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
        torch.save(content, file)
        return file

    return change


def test_a_student_comes_back_exactly(student: Backbone, file: Path, images) -> None:
    backbone = create_backbone(str(file))
    torch.testing.assert_close(backbone(images(96)).pooled, student(images(96)).pooled, rtol=0, atol=0)
    assert backbone.preprocess == student.preprocess
    assert backbone.weights_hash() == student.weights_hash()
    assert backbone.load_report.complete
    assert not backbone.training


def test_everything_else_comes_back(file: Path) -> None:
    checkpoint = read_checkpoint(file)
    assert checkpoint.student.spec == "timm:test_vit"
    assert checkpoint.student.options == {"depth": 2}
    assert list(checkpoint.spaces) == SPACES
    assert checkpoint.provenance == {"seed": 0, "data": ["a", None]}
    assert checkpoint.interaction is not None
    assert checkpoint.interaction.options == {"rounds": 2, "groups": 32}
    torch.testing.assert_close(checkpoint.interaction.state_dict["gamma.weight"], torch.arange(3.0))


def test_options_of_the_name_reach_the_student(file: Path) -> None:
    backbone = create_backbone(f"umt:{file}?drop_path_rate=0.2&size=128&mean=0.4")
    assert backbone.model.blocks[-1].drop_path1.drop_prob == pytest.approx(0.2)
    assert (backbone.preprocess.size, backbone.preprocess.mean) == (128, (0.4, 0.4, 0.4))


def test_a_loaded_student_is_saved_again(file: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "again.pth", create_backbone(str(file)))
    assert read_checkpoint(tmp_path / "again.pth").student == read_checkpoint(file).student
    assert create_backbone(str(tmp_path / "again.pth")).weights_hash() == create_backbone(str(file)).weights_hash()


def test_a_pip_model_and_an_open_clip_tower_are_students_too(tmp_path: Path) -> None:
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    tower = create_backbone("open_clip:RN50?pretrained=false&size=96", vision_cfg=vision, text_cfg=text)
    for student in (tower, create_backbone("pypi:tf_efficientnet_lite0?pretrained=false")):
        save_checkpoint(tmp_path / "ckpt.pth", student)
        again = create_backbone(str(tmp_path / "ckpt.pth"))
        assert again.weights_hash() == student.weights_hash()
        assert again.preprocess == student.preprocess


def test_an_interrupted_write_leaves_the_old_file(
    student: Backbone, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def interrupted(content: object, handle: Any) -> None:
        handle.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(file, student)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", 2, "version 2 of the checkpoint format, this umt-bench reads 1; update"),
        ("version", 10**400, r"field 'version' is an integer of 1329 bits, not a positive int"),
        ("version", "1", "field 'version' is '1', not a positive int"),
        ("student", ..., "field 'student' is missing, not a dictionary"),
        ("student.spec", 7, r"field 'student\.spec' is 7, not text"),
        ("student.spec", "os:system", r"field 'student\.spec' is 'os:system', not the plain name"),
        ("student.spec", "evil.py:build", r"field 'student\.spec'"),
        ("student.spec", "other.pth", r"field 'student\.spec'"),
        ("student.spec", "timm:test_vit?pretrained=true", r"field 'student\.spec'"),
        ("student.spec", "timm:test_vitt", "unknown timm model 'test_vitt'. Did you mean test_vit"),
        ("student.options", {"weights": "other.pth"}, r"field 'student\.options'.*without weights"),
        ("student.options", {"depth": 3}, "does not fit the model"),
        ("student.preprocess.mean", (0.5, 0.5), r"field 'student\.preprocess\.mean'.*three numbers"),
        ("student.preprocess.std", (0.5, 0.0, 0.5), "three positive numbers"),
        ("student.preprocess.size", -1, "a positive int"),
        ("student.preprocess.crop_pct", ..., r"field 'student\.preprocess\.crop_pct' is missing"),
        ("state_dict", {"a": 1}, "a state dict of tensors"),
        ("state_dict", {}, "does not fit the model"),
        ("spaces", [1], "a list of dictionaries"),
        ("readout", {"classification": "cls"}, r"field 'readout\.dense' is missing, not text"),
        (
            "readout",
            {"classification": "cls", "dense": "mae"},
            r"'readout\.dense' is 'mae', not the name of a space \(cls",
        ),
        ("readout", "cls", r"field 'readout' is 'cls', not a dictionary"),
        ("spaces.1.dim", 0, r"field 'spaces\[1\]\.dim' is 0, not a positive int"),
        ("interaction.options", ..., r"field 'interaction\.options' is missing"),
        ("spaces.1.dim", 1 << 64, "is an integer of 65 bits, not a positive int"),
        ("provenance", {"a": torch.zeros(1)}, "plain values"),
        (
            "provenance",
            {"a": [1 << 64]},
            r"a dictionary of plain values \(it is an integer of 65 bits, expected at most 64 bits\)",
        ),
    ],
)
def test_a_wrong_field_is_named(changed: Callable[[str, Any], Path], field: str, value: Any, message: str) -> None:
    with pytest.raises(UMTError, match=message) as caught:
        create_backbone(str(changed(field, value)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [..., torch.zeros(3)])
def test_a_student_that_lacks_weights_or_has_others_is_refused(
    changed: Callable[[str, Any], Path], file: Path, value: Any
) -> None:
    content = torch.load(file, weights_only=True)
    name = "model.norm.bias" if value is ... else "model.extra"
    content["state_dict"].pop(name, None)
    if value is not ...:
        content["state_dict"][name] = value
    torch.save(content, file)
    with pytest.raises(UMTError, match=name):
        create_backbone(str(file))


@pytest.mark.parametrize(
    "value",
    [Path(), [Path()], 10**5000, [10**5000], {10**5000: 1}],
    ids=["path", "list of a path", "number", "list", "dictionary"],
)
def test_values_that_could_not_be_read_back_are_not_written(student: Backbone, tmp_path: Path, value: Any) -> None:
    """Python refuses to print integers of more than 4,300 digits, also in an error."""
    with pytest.raises(UMTError, match=r"field 'provenance'.*plain values"):
        save_checkpoint(tmp_path / "ckpt.pth", student, provenance={"value": value})
    assert not (tmp_path / "ckpt.pth").exists()


def test_a_student_that_is_a_plug_in_file_is_not_written(student: Backbone, tmp_path: Path) -> None:
    student.spec = "plug.py:build"
    with pytest.raises(UMTError, match=r"field 'student\.spec' is 'plug\.py:build'"):
        save_checkpoint(tmp_path / "ckpt.pth", student)


def test_a_space_without_the_distillation_code_says_which_there_are(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umt.backbones.checkpoint.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UMTError, match=r"its spaces \(cls, dino\) need umt\.distill"):
        create_backbone(f"{file}#dino")


def test_a_layout_that_is_not_known_is_named_with_the_remedy(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "w.pth")
    with pytest.raises(UMTError, match=r"w\.pth: refused: its 1 tensors \('a'\) .* timm:NAME\?weights=FILE"):
        create_backbone(str(tmp_path / "w.pth"))


def test_a_truncated_checkpoint_is_named(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UMTError, match=r"ckpt\.pth: truncated"):
        create_backbone(str(file))


def test_a_hostile_checkpoint_does_not_run(file: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    content = torch.load(file, weights_only=True)
    torch.save({**content, "provenance": Hostile()}, file)
    with pytest.raises(UMTError, match=r"refused.*mkdir"):
        create_backbone(str(file))
    assert not (tmp_path / "ran").exists()
