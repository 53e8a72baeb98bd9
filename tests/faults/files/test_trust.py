"""Files that a stranger could send, through the commands that people type: no code runs, no place is chosen.

Names by themselves are in tests/umt/backbones/test_trust.py, suites in tests/benchmarks/suite/test_actions.py.
"""

from __future__ import annotations

import runpy
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image

from umt.backbones import create_backbone
from umt.backbones.checkpoint import Interaction, Space, save_checkpoint
from umt.cli import cli
from umt.data.mini import write_set
from umt.distill.recipe import FOLDER, load_recipe
from umt.errors import TrustError, UMTError

CNN = "timm:test_resnet?pretrained=false"


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


@pytest.fixture
def second_file(tmp_path: Path, marker: Path) -> Path:
    """A hostile file that another one could make a library read."""
    path = tmp_path / "second.pt"
    torch.save({"state_dict": {"x": Evil(marker)}}, path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """A sound checkpoint with fields of a stranger's choice."""

    def make(teacher: Any = None, **student: Any) -> Path:
        path = tmp_path / "stranger.pth"
        provenance = {"recipe": {"teachers": [teacher or {"name": "dino", "backbone": CNN}]}}
        save_checkpoint(path, create_backbone(CNN), provenance=provenance)
        content = torch.load(path, weights_only=True)
        content["student"] |= student
        torch.save(content, path)
        return path

    return make


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def said(done: Any) -> str:
    return f"{done.output} {done.exception}".replace("\n", " ")


PLUG_IN = """
import timm
from umt.backbones import create_backbone, Backbone

def build() -> Backbone:
    return create_backbone("timm:test_resnet?pretrained=false")
"""


TEACHERS = [
    "os:system?command=touch MARKER",
    "plug.py:build",
    "timm:test_resnet?checkpoint_path=SECOND",
    "timm:test_resnet?pretrained_cfg_overlay={file: SECOND}",
    "open_clip:RN50?pretrained_image_path=SECOND&weights_only=false",
    "../elsewhere.pth",
    "timm:test_resnet?weights=../elsewhere.pth",
]


@pytest.mark.parametrize("name", TEACHERS)
def test_the_teachers_that_a_checkpoint_names_run_no_code(
    checkpoint: Callable[..., Path], photos: Path, marker: Path, second_file: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "plug.py").write_text(f"open({str(marker)!r}, 'w')")
    name = name.replace("MARKER", str(marker)).replace("SECOND", str(second_file))
    file = checkpoint(teacher={"name": "dino", "backbone": name})
    refused = run("analyze", "cka", file, "--teachers", "--images", photos, "--out", tmp_path / "cka")
    assert isinstance(refused.exception, TrustError)
    assert "stranger.pth: field 'provenance.recipe.teachers': " in said(refused)
    assert not marker.exists()
    assert not (tmp_path / "cka").exists()


@pytest.mark.parametrize("teacher", [3, {"name": 3, "backbone": CNN}, {"backbone": CNN}, {"name": "a", "backbone": []}])
def test_teachers_of_another_kind_are_named(
    checkpoint: Callable[..., Path], photos: Path, tmp_path: Path, teacher: Any
) -> None:
    options = ["--images", photos, "--out", tmp_path / "cka"]
    refused = run("analyze", "cka", checkpoint(teacher=teacher), "--teachers", *options)
    assert isinstance(refused.exception, UMTError)
    assert "field 'provenance.recipe.teachers'" in said(refused)


def test_the_weights_of_a_teacher_lie_in_their_folder(
    checkpoint: Callable[..., Path], photos: Path, tmp_path: Path
) -> None:
    file = checkpoint(teacher={"name": "dino", "backbone": CNN, "weights": "../outside.pth"})
    options = ["--images", photos, "--out", tmp_path / "cka", "--weights", tmp_path / "weights"]
    refused = run("analyze", "cka", file, "--teachers", *options)
    assert "outside.pth: lies outside" in said(refused)


@pytest.mark.slow
def test_a_suite_with_the_cka_of_a_table_runs_no_code_either(
    checkpoint: Callable[..., Path], marker: Path, tmp_path: Path
) -> None:
    """The door of the shipped suites: `umt run FILE --suite mini --tables 6`, with the images that it compares on."""
    write_set("caltech101", tmp_path / "data", {"caltech101": 1})
    file = checkpoint(teacher={"name": "dino", "backbone": f"os:system?command=touch {marker}"})
    places = ["--data-root", tmp_path / "data", "--out", tmp_path / "out"]
    done = run("run", file, "--suite", "mini", "--tables", "6", *places)
    assert done.exit_code == 1
    assert "failed stranger: " in said(done)
    assert "stranger.pth: field 'provenance.recipe.teachers': backbone 'os:system" in said(done)
    assert not marker.exists()


STUDENTS: list[tuple[str, dict[str, Any]]] = [
    ("open_clip:RN50", {"pretrained_image_path": "SECOND", "weights_only": False}),
    ("open_clip:RN50", {"pretrained_text_path": "SECOND", "weights_only": False}),
    ("open_clip:RN50", {"vision_cfg": {"timm_model_name": "hf-hub:a/b", "timm_model_pretrained": True}}),
    ("open_clip:RN50", {"text_cfg": {"hf_model_name": "a/b"}}),
    ("timm:test_resnet", {"checkpoint_path": "SECOND"}),
    ("timm:test_resnet", {"pretrained_cfg_overlay": {"file": "SECOND"}}),
    ("timm:test_resnet", {"pretrained_cfg": {"url": "http://localhost/x"}}),
    ("timm:test_resnet", {"act_layer": "os:system"}),
    ("os:system", {"command": "touch MARKER"}),
    ("stranger.py:build", {}),
    ("umt:stranger.pth", {}),
]


@pytest.mark.parametrize(("spec", "options"), STUDENTS)
def test_a_student_is_an_architecture(
    checkpoint: Callable[..., Path],
    marker: Path,
    second_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spec: str,
    options: dict[str, Any],
) -> None:
    texts = {"SECOND": str(second_file), "MARKER": str(marker)}
    filled = {key: texts.get(value, value) if isinstance(value, str) else value for key, value in options.items()}
    file = checkpoint(spec=spec, options=filled)
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: asked.append(arguments))
    student = runpy.run_path(str(FOLDER.parents[2] / "hubconf.py"))["umt_student"]
    doors: list[Callable[[], Any]] = [
        lambda: run("backbones", "check", file),
        lambda: run("export", file, "--to", "timm", "--out", tmp_path / "exported"),
    ]
    for door in doors:
        assert "stranger.pth: field 'student." in said(door())
    with pytest.raises(UMTError, match=r"stranger\.pth: field 'student\."):
        student(str(file))
    assert not marker.exists()
    assert not asked
    assert not (tmp_path / "exported").exists()


def test_a_plan_runs_nothing_of_a_student(checkpoint: Callable[..., Path], marker: Path, second_file: Path) -> None:
    options = {"pretrained_image_path": str(second_file), "weights_only": False}
    file = checkpoint(spec="open_clip:RN50", options=options)
    planned = run("run", file, "--suite", "mini", "--data-root", file.parent, "--out", file.parent / "out", "--dry-run")
    assert "stranger.pth: field 'student.options'" in said(planned)
    assert not marker.exists()


@pytest.mark.parametrize(
    "teacher",
    [
        "open_clip:RN50?pretrained_text_path=SECOND&weights_only=false",
        "open_clip:RN50?text_cfg={hf_model_name: a/b}",
        "open_clip:RN50?cache_dir=/x",
    ],
)
def test_the_texts_of_a_space_come_from_a_plain_model(tmp_path: Path, second_file: Path, teacher: str) -> None:
    """A zero-shot column would load it."""
    from umt.backbones.checkpoint import read_checkpoint
    from umt.distill.heads import _language

    path = tmp_path / "stranger.pth"
    space = Space("clip", "clip", teacher.replace("SECOND", str(second_file)), 8)
    interaction = Interaction({}, {"x": torch.zeros(1)})
    save_checkpoint(path, create_backbone(CNN), spaces=[space], interaction=interaction)
    with pytest.raises(TrustError, match="is not among those that a name from a file may set"):
        _language(path, read_checkpoint(path), space)
    weights = {"recipe": {"teachers": [{"name": "clip", "weights": "../../etc/passwd"}]}}
    plain = Space("clip", "clip", "open_clip:RN50", 8)
    save_checkpoint(path, create_backbone(CNN), spaces=[plain], interaction=interaction, provenance=weights)
    with pytest.raises(TrustError, match="lies outside"):
        _language(path, read_checkpoint(path), plain)


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """A sound recipe with fields of a stranger's choice."""

    def make(**fields: Any) -> Path:
        record = yaml.safe_load((FOLDER / "mini-cnn-pypi.yaml").read_text())
        path = tmp_path / "stranger.yaml"
        path.write_text(yaml.safe_dump({**record, "readout": None, **fields}))
        return path

    return make


@pytest.mark.parametrize("name", TEACHERS)
def test_recipes_run_no_code_unless_they_are_trusted(
    recipe: Callable[..., Path], photos: Path, marker: Path, second_file: Path, tmp_path: Path, name: str
) -> None:
    name = name.replace("MARKER", str(marker)).replace("SECOND", str(second_file))
    teacher = {"name": "a", "objective": "classification", "backbone": name}
    options = ["--images", photos, "--out", tmp_path / "out", "--dry-run"]
    for fields in ({"student": name}, {"teachers": [teacher]}):
        file = recipe(**fields)
        for command in (["distill", "--recipe", file, *options], ["teachers", "check", "--recipe", file]):
            refused = run(*command)
            assert isinstance(refused.exception, TrustError), said(refused)
            assert "stranger.yaml: field '" in said(refused)
    assert not marker.exists()


def test_a_change_that_a_person_types_may_name_a_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plug.py").write_text(PLUG_IN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    changes = [
        "student=timm:test_resnet",
        "interaction.groups=8",
        "views.size=32",
        "teachers.lite0.backbone=plug.py:build",
    ]
    checked = run("teachers", "check", "--recipe", "mini-cnn-pypi", *(f"--set={change}" for change in changes))
    assert checked.exit_code == 0, said(checked)
    assert "plug.py:build" in said(checked)


@pytest.mark.parametrize(
    "change",
    [
        "student=plug.py:build", "teachers=[]", "teachers.lite0.backbone=os:system", "teachers.lite0.weights=/x",
        "extends=/x", "otherwise=/x", "name=/x", "--trust=x",
    ],
)  # fmt: skip
def test_a_suite_changes_no_backbone(tmp_path: Path, change: str) -> None:
    student = f"{{label: A, recipe: mini-cnn-pypi, changes: ['{change}']}}"
    suite = "title: T\nabout: A\nseeds: 1\nembedded_data: true\ntables: {}\n"
    (tmp_path / "s.yaml").write_text(f"{suite}example_students: [{student}]\n")
    refused = run("run", "--suite", tmp_path / "s.yaml", "--dry-run", "--out", tmp_path / "out")
    assert f"field 'changes' of student 'A' is '{change}'" in said(refused)


def test_a_trusted_recipe_says_what_it_runs(
    recipe: Callable[..., Path], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plug.py").write_text(PLUG_IN)
    monkeypatch.chdir(tmp_path)
    teacher = {"name": "a", "objective": "classification", "backbone": "plug.py:build"}
    file = recipe(teachers=[teacher], student="timm:test_resnet", interaction={"groups": 8}, views={"size": 32})
    checked = run("teachers", "check", "--recipe", file, "--trust", file)
    assert checked.exit_code == 0, said(checked)
    planned = run("distill", "--recipe", file, "--trust", file, "--images", photos, "--dry-run")
    assert planned.exit_code == 0, said(planned)
    assert "recipe stranger runs code: plug.py:build" in said(planned)
    student = recipe(student="plug.py:build")
    refused = run("distill", "--recipe", student, "--trust", student, "--images", photos, "--dry-run")
    assert "field 'student.spec' is 'plug.py:build'" in said(refused), "before it is trained, not after"


@pytest.mark.parametrize("name", ["/absolute", "../up", "plain"])
def test_a_recipe_cannot_choose_its_name(recipe: Callable[..., Path], name: str) -> None:
    with pytest.raises(UMTError, match=r"stranger\.yaml: field 'name': a recipe is called after its file"):
        load_recipe(str(recipe(name=name)))


def test_recipes_that_name_each_other_come_to_an_end(recipe: Callable[..., Path], photos: Path, tmp_path: Path) -> None:
    teacher = {"name": "a", "objective": "classification", "backbone": "timm:resnet18", "weights": "absent.pth"}
    for other in ("stranger.yaml", "other.yaml"):
        file = recipe(teachers=[teacher], otherwise=other)
        (tmp_path / "other.yaml").write_text(file.read_text())
        refused = run("distill", "--recipe", file, "--images", photos, "--dry-run")
        assert "field 'otherwise' leads back to a recipe" in said(refused)
    outside = run("distill", "--recipe", recipe(teachers=[teacher], otherwise="../x.yaml"), "--images", photos)
    assert "lies outside" in said(outside)


@pytest.mark.parametrize("field", ["extends", "weights"])
def test_what_a_recipe_names_lies_in_its_place(recipe: Callable[..., Path], field: str, photos: Path) -> None:
    teacher = {"name": "a", "objective": "classification", "backbone": "timm:resnet18", "weights": "../../etc/passwd"}
    file = recipe(extends="../../../etc/x") if field == "extends" else recipe(teachers=[teacher])
    refused = run("distill", "--recipe", file, "--images", photos, "--dry-run")
    assert isinstance(refused.exception, TrustError)
    assert "lies outside" in said(refused)
