"""The grammar of backbone names."""

from __future__ import annotations

from pathlib import Path

import pytest

from umt.backbones.spec import BackboneName, parse_spec, read_name, told_apart
from umt.errors import UMTError


@pytest.mark.parametrize(
    ("text", "scheme", "name", "head"),
    [
        ("timm:vit_base_patch16_dinov3.lvd1689m", "timm", "vit_base_patch16_dinov3.lvd1689m", None),
        ("open_clip:ViT-B-16/openai", "open_clip", "ViT-B-16/openai", None),
        ("ckpt.pth#dino", "", "ckpt.pth", "dino"),
        ("umt:ckpt.pth", "umt", "ckpt.pth", None),
        ("run:1/ckpt.pth", "", "run:1/ckpt.pth", None),
        ("a.b.c:build", "a.b.c", "build", None),
        ("dir/plug.py:build", "dir/plug.py", "build", None),
        ("installed", "", "installed", None),
    ],
)
def test_parts(text: str, scheme: str, name: str, head: str | None) -> None:
    spec = parse_spec(text)
    assert (spec.scheme, spec.name, spec.head, spec.text) == (scheme, name, head, text)


def test_option_values_are_what_they_look_like() -> None:
    text = "timm:x?a=1&b=1e-3&c=-2.5E+4&d=true&e=[1, 2.5]&f=same&g=0.5&h=a=b&i=/dir/my+file.pth"
    assert parse_spec(text).options == {
        "a": 1,
        "b": 1e-3,
        "c": -25000.0,
        "d": True,
        "e": [1, 2.5],
        "f": "same",
        "g": 0.5,
        "h": "a=b",
        "i": "/dir/my+file.pth",
    }


@pytest.mark.parametrize("text", ["timm:x?a", "timm:x?=1", "timm:x?a=1&&b=2"])
def test_malformed_options_are_named(text: str) -> None:
    with pytest.raises(UMTError, match="key=value"):
        parse_spec(text)


def test_malformed_values_are_named() -> None:
    with pytest.raises(UMTError, match=r"'\[1,'"):
        parse_spec("timm:x?a=[1,")


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(UMTError, match="names nothing"):
        parse_spec("timm:")


def test_a_file_without_suffix_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "weights").touch()
    assert parse_spec(str(tmp_path / "weights")).is_file
    assert not parse_spec("weights-that-are-not-there").is_file


def test_more_options_win_and_show_in_the_text() -> None:
    spec = parse_spec("ckpt.pth?size=224&b=1e-3#mae").with_options(size=448, sizes=[1, 2], on=True)
    assert spec.text == "ckpt.pth?size=448&b=0.001&sizes=[1, 2]&on=true#mae"
    assert parse_spec(spec.text) == spec


@pytest.mark.parametrize(
    ("text", "label", "spec"),
    [
        ("timm:resnet50", "resnet50", "timm:resnet50"),
        ("Ours=timm:resnet50?pretrained=false", "Ours", "timm:resnet50?pretrained=false"),
        ("timm:resnet50?pretrained=false", "resnet50 (pretrained=False)", "timm:resnet50?pretrained=false"),
        ("timm:resnet50?weights=/a/b.pth", "resnet50", "timm:resnet50?weights=/a/b.pth"),
        ("runs/umt_vitb.pth#dino", "umt_vitb#dino", "runs/umt_vitb.pth#dino"),
        ("A B=ckpt.pth", "A B", "ckpt.pth"),
        ("ViT-B/16=timm:vit_base_patch16_224", "ViT-B/16", "timm:vit_base_patch16_224"),
        ("runs/lr=1e-4/ckpt.pth", "ckpt", "runs/lr=1e-4/ckpt.pth"),
    ],
)
def test_label_and_spec(text: str, label: str, spec: str) -> None:
    assert read_name(text) == BackboneName(label, spec, trusted=False)
    assert read_name(text, trusted=True) == BackboneName(label, spec, trusted=True)


def test_a_file_with_an_equals_sign_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=1e-4.pth").touch()
    assert read_name("lr=1e-4.pth") == BackboneName("lr=1e-4", "lr=1e-4.pth")


@pytest.mark.parametrize("folder", ["exp#2", "what?", "a&b", "10:30", "lr=1e-4,wd=0.05", "timm:resnet50", "what?a=1#b"])
def test_an_existing_file_wins_over_the_syntax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(folder).mkdir()
    Path(folder, "student.pth").touch()
    spec = parse_spec(f"{folder}/student.pth?size=64#dino")
    assert (spec.scheme, spec.name, spec.head) == ("", f"{folder}/student.pth", "dino")
    assert (spec.options, spec.is_file) == ({"size": 64}, True)
    more = spec.with_options(size=96)
    assert more.text == f"{folder}/student.pth?size=96#dino"
    assert parse_spec(more.text) == more
    assert read_name(f"{folder}/student.pth").label == "student"


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pth").touch()
    assert parse_spec("~/w.pth").name == f"{tmp_path}/w.pth"
    assert parse_spec("~/absent.pth").name == f"{tmp_path}/absent.pth"
    assert parse_spec("timm:x?weights=~/w.pth").options["weights"] == f"{tmp_path}/w.pth"
    assert parse_spec("hf:~/model").name == f"{tmp_path}/model"
    assert parse_spec("timm:local-dir:~/model").name == f"local-dir:{tmp_path}/model"
    assert parse_spec("~/plug.py:build").scheme == f"{tmp_path}/plug.py"


@pytest.mark.parametrize(
    ("text", "scheme", "name"),
    [
        ("hf:facebook/dinov2-base@main", "hf", "facebook/dinov2-base@main"),
        ("timm:hf-hub:timm/resnet18", "timm", "hf-hub:timm/resnet18"),
        ("hf-hub:timm/resnet18", "timm", "hf-hub:timm/resnet18"),
        ("local-dir:/a/b", "timm", "local-dir:/a/b"),
        ("hub:/src/dinov2/dinov2_vits14", "hub", "/src/dinov2/dinov2_vits14"),
    ],
)
def test_what_follows_a_scheme_may_hold_colons(text: str, scheme: str, name: str) -> None:
    assert (parse_spec(text).scheme, parse_spec(text).name) == (scheme, name)


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["a/student.pth", "b/student.pth"], ["a/student", "b/student"]),
        (["a/x/student.pth#dino", "b/x/student.pth#dino"], ["a/x/student#dino", "b/x/student#dino"]),
        (["a/student.pth", "a/student.safetensors"], ["student.pth", "student.safetensors"]),
        (["timm:r?weights=a/w.pth", "timm:r?weights=b/v.pth"], ["r (w)", "r (v)"]),
        (["a/student.pth", "a/student.pth"], ["student", "student"]),
        (["S=a/student.pth", "S=b/student.pth"], ["S", "S"]),
        (["a/student.pth", "timm:resnet50"], ["student", "resnet50"]),
    ],
)
def test_files_of_one_name_are_told_apart_by_their_folders(texts: list[str], labels: list[str]) -> None:
    assert [name.label for name in told_apart([read_name(text) for text in texts])] == labels
