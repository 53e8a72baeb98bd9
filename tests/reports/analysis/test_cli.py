"""`umt analyze` on real image files, through the command line: files, numbers, records and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from benchmarks.results import ResultStore
from reports.analysis.cli import analyze
from reports.results.store import read_store
from umt.backbones import create_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.errors import UMTError

VIT, CNN = "timm:test_vit?pretrained=false", "timm:test_resnet?pretrained=false"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(analyze, [*map(str, arguments), "--device", "cpu"], catch_exceptions=False)


def fails(message: str, *arguments: object) -> None:
    with pytest.raises(UMTError, match=message) as error:
        run(*arguments)
    assert "\n" not in str(error.value)


@pytest.fixture
def folder(tmp_path: Path, image_folder: Callable[..., Path]) -> Path:
    return image_folder(tmp_path / "photos", classes=4, train=2, val=1, side=64)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A gradient, so that tokens differ from place to place."""
    ramp = np.linspace(0, 255, 160, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[None, :], ramp[:, None], ramp[::-1][None, :]), axis=-1)
    Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_cka_writes_numbers_heat_maps_and_results(tmp_path: Path, folder: Path) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    result = run("cka", VIT, f"CNN={CNN}", "same=" + VIT, "--images", folder, "--resolution", 64, "--out", out,
                 "--results", store)  # fmt: skip
    assert "test_vit" in result.output
    record = json.loads((out / "cka.json").read_text())
    assert [one["label"] for one in record["backbones"]] == ["test_vit (pretrained=False)", "CNN", "same"]
    assert record["images"]["sizes"] == {"images": 12}
    other, same = record["pairs"]
    assert other["grid"] == [2, 2]
    assert other["pooled"]["samples"] == 12
    assert other["patches"]["samples"] == 48
    assert same["metrics"] == pytest.approx(dict.fromkeys(("global", "global_biased", "patch", "patch_biased"), 1))
    for name in ("cka-test_vit_pretrained_False-CNN", "cka-test_vit_pretrained_False-same"):
        with Image.open(out / f"{name}.png") as image:
            assert min(image.size) > 300
        assert b"/Type3" not in (out / f"{name}.pdf").read_bytes()  # fonts are embedded as TrueType
    stored = {one.key.protocol: one for one in read_store(store)[0]}
    assert set(stored) == {"against CNN", "against same"}
    cnn = stored["against CNN"]
    assert cnn.result.metrics == other["metrics"]
    assert cnn.result.details["against"]["weights_hash"] == create_backbone(CNN).weights_hash()
    assert cnn.key.weights_hash == create_backbone(VIT).weights_hash()
    assert cnn.key.protocol_hash != stored["against same"].key.protocol_hash


def test_a_repeated_analysis_is_the_same_job_and_other_settings_are_another(tmp_path: Path, folder: Path) -> None:
    common = ("cka", VIT, CNN, "--images", folder, "--out", tmp_path / "out", "--results", tmp_path / "store")
    for resolution in (64, 64, 96):
        run(*common, "--resolution", resolution)
    assert len(ResultStore(tmp_path / "store").paths()) == 2


def test_a_student_meets_the_teachers_that_its_checkpoint_names(tmp_path: Path, folder: Path) -> None:
    teachers = [
        {"name": "dino", "backbone": VIT, "weights": None},
        {"name": "cls", "backbone": "timm:test_resnet", "weights": "cls.safetensors"},
    ]
    student = tmp_path / "student.pth"
    save_checkpoint(student, create_backbone(CNN), provenance={"recipe": {"teachers": teachers}})
    fails("cls.safetensors: the weights of teacher 'cls' are not there; name their folder: --weights",
          "cka", student, "--teachers", "--images", folder, "--out", tmp_path)  # fmt: skip
    teachers[1] = {"name": "cls", "backbone": CNN, "weights": None}
    save_checkpoint(student, create_backbone(CNN), provenance={"recipe": {"teachers": teachers}})
    run("cka", student, "--teachers", "--images", folder, "--resolution", 64, "--out", tmp_path / "out", "--results",
        tmp_path / "store")  # fmt: skip
    against = [one.result.details["against"] for one in read_store(tmp_path / "store")[0]]
    assert {one["teaches"]: one["spec"] for one in against} == {"dino": VIT, "cls": CNN}


def test_pca_draws_every_image_at_every_resolution(tmp_path: Path, photo: Path) -> None:
    result = run("pca", VIT, CNN, "--image", photo, "--resolution", 128, "--resolution", 64, "--out", tmp_path / "out")
    record = json.loads((tmp_path / "out" / "pca.json").read_text())
    assert [(one["backbone"], one["pixels"], one["grid"]) for one in record["maps"]] == [
        ("test_vit (pretrained=False)", 64, [4, 4]),
        ("test_vit (pretrained=False)", 128, [8, 8]),
        ("test_resnet (pretrained=False)", 64, [2, 2]),
        ("test_resnet (pretrained=False)", 128, [4, 4]),
    ]
    assert [one["resolutions"] for one in record["stability"]] == [[64, 128]] * 2
    assert all(-1 <= one["centred_cosine"] <= 1 for one in record["stability"])
    assert "stability against resolution" in result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"pca.json", "pca.png", "pca.pdf"}
    assert set(record["explained_variance"]) == {"test_vit (pretrained=False)", "test_resnet (pretrained=False)"}


def test_each_photo_can_have_its_own_basis(tmp_path: Path, photo: Path, folder: Path) -> None:
    noise = next(folder.rglob("*.png"))
    run(
        "pca",
        VIT,
        "--image",
        photo,
        "--image",
        noise,
        "--image",
        photo,
        "--basis",
        "each",
        "--resolution",
        64,
        "--out",
        tmp_path,
    )
    explained = json.loads((tmp_path / "pca.json").read_text())["explained_variance"]
    assert [name.rpartition(", ")[2] for name in explained] == [str(photo), str(noise)]


def test_cosine_names_its_token_and_the_tiles(tmp_path: Path, photo: Path) -> None:
    run("cosine", VIT, CNN, "--image", photo, "--resolution", 128, "--max-tokens", 30, "--out", tmp_path / "out")
    vit, cnn = json.loads((tmp_path / "out" / "cosine.json").read_text())["maps"]
    assert (vit["token"], vit["tiles"]) == ("class token", 4)
    assert cnn["tiles"] == 1
    assert -1 <= vit["least"] <= vit["mean"] <= vit["greatest"] <= 1


def test_bad_input_is_one_line(tmp_path: Path, folder: Path, photo: Path) -> None:
    tiny, damaged = tmp_path / "tiny.png", tmp_path / "damaged.jpg"
    Image.new("RGB", (40, 16)).save(tiny)
    damaged.write_bytes(photo.read_bytes()[:200])
    out = ("--out", tmp_path / "out")
    fails("unknown timm model 'resnet5O'", "pca", "timm:resnet5O", "--image", photo, *out)
    fails(
        "tiny.png: 40x16 pixels; take an image whose shorter side has at least 32", "cosine", VIT, "--image", tiny, *out
    )
    fails("damaged.jpg: image cannot be decoded", "pca", VIT, "--image", damaged, *out)
    fails("nowhere.jpg: image cannot be decoded", "pca", VIT, "--image", tmp_path / "nowhere.jpg", *out)
    fails("name a second backbone, or --teachers", "cka", VIT, "--images", folder, *out)
    fails("names no teachers", "cka", VIT, "--teachers", "--images", folder, *out)
    fails("two backbones have the label", "cka", VIT, VIT, "--images", folder, *out)
    fails("name the images: --images FOLDER, or --dataset NAME with --data-root", "cka", VIT, CNN, *out)
    fails("CKA of 3 samples: it takes at least 4", "cka", VIT, CNN, "--images", folder, "--limit", 3, *out)
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:--data goes with the next release:FutureWarning")
@pytest.mark.parametrize("option", ["--dataset", "--data"])  # the second is its older name
def test_a_data_set_gives_its_last_split(option: str, tmp_path: Path, image_folder: Callable[..., Path]) -> None:
    image_folder(tmp_path / "imagenet", classes=2, train=1, val=4, side=64)
    run("cka", VIT, CNN, option, "imagenet", "--data-root", tmp_path, "--resolution", 64, "--out", tmp_path / "out")
    images = json.loads((tmp_path / "out" / "cka.json").read_text())["images"]
    assert images["sizes"] == {"val": 8}
    assert images["official"] is False


@pytest.mark.parametrize("command", ["cka", "pca", "cosine"])
def test_help_explains_with_an_example(command: str) -> None:
    result = CliRunner().invoke(analyze, [command, "--help"])
    assert f"umt analyze {command} " in result.output
