"""From a name to a backbone: plug-ins of every kind, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from umt.backbones import create_backbone
from umt.backbones.check import check_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.backbones.registry import installed_plugins
from umt.errors import UMTError
from umt.export.timm_folder import write_timm_folder

PLUG_IN = """
from torch import nn
from umt.backbones import Backbone, Features, Preprocess

class Patches(Backbone):
    def __init__(self, width=8):
        super().__init__(Preprocess(size_multiple=8), channels=[width], strides=[8], dim=width)
        self.embed = nn.Conv2d(3, width, 8, 8)

    def extract(self, images, maps):
        fmap = self.embed(images)
        return Features(fmap.mean((2, 3)), None, [fmap for _ in maps])

def nothing() -> Backbone:
    return "not a backbone"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Name of an importable module with the plug-in, another one for every test."""
    name = f"plug_in_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timm:vit_small_patch14_dinov2?pretrained=false&init_values=null", "option 'init_values' is null"),
        ("timm:test_vit?pretrained=false&pool=null", "option 'pool' is null"),
        ("timm:test_vit?weights=null", "option 'weights' is null"),
        ("open_clip:ViT-S-32-alt?pretrained=false&force_image_size=null", "option 'force_image_size' is null"),
        ("open_clip:ViT-S-32-alt?pretrained=false&vision_cfg={layers: null}", "option 'vision_cfg: layers' is null"),
        ("open_clip:ViT-S-32-alt?pretrained=0", "pretrained is true or false, not 0"),
        ("torchvision:resnet18?pretrained=none", "pretrained is true or false, not 'none'"),
        ("torchvision:resnet18?pretrained=false&weights=DEFAULT", "weights=DEFAULT and pretrained=false exclude"),
    ],
)
def test_options_that_would_set_nothing_are_errors(text: str, said: str) -> None:
    with pytest.raises(UMTError, match=said):
        create_backbone(text, trusted=True)


def test_a_module(site: str) -> None:
    backbone = create_backbone(f"{site}:Patches?width=16", trusted=True)
    assert (backbone.dim, backbone.training, backbone.spec) == (16, False, f"{site}:Patches?width=16")


def test_a_name_is_one_model_and_leaves_the_random_state_alone(site: str) -> None:
    state = torch.get_rng_state()
    first = create_backbone(f"{site}:Patches", trusted=True).weights_hash()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert create_backbone(f"{site}:Patches", trusted=True).weights_hash() == first


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(PLUG_IN)
    assert create_backbone(f"{tmp_path}/plug.py:Patches", trusted=True).dim == 8


def test_an_installed_package(site: str, tmp_path: Path) -> None:
    info = tmp_path / "some_backbones-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-backbones\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[umt.backbones]\nsome-patches = {site}:Patches\n")
    assert installed_plugins()["some-patches"].value == f"{site}:Patches"
    assert create_backbone("some-patches?width=4").dim == 4
    with pytest.raises(UMTError, match="Did you mean some-patches"):
        create_backbone("some-patch")


def test_a_forgotten_scheme_is_guessed() -> None:
    with pytest.raises(UMTError, match="Did you mean timm:resnet50"):
        create_backbone("resnet50")


def test_an_unknown_module_names_the_schemes() -> None:
    with pytest.raises(UMTError, match=r"no scheme or importable module 'tim' \(schemes: timm, .*, umt\)"):
        create_backbone("tim:resnet50", trusted=True)


def test_an_unknown_file_is_named() -> None:
    with pytest.raises(UMTError, match=r"absent\.py: no such plug-in file"):
        create_backbone("absent.py:build", trusted=True)


def test_an_unknown_factory_is_guessed(site: str) -> None:
    with pytest.raises(UMTError, match="Did you mean Patches"):
        create_backbone(f"{site}:Patchs", trusted=True)


def test_an_unknown_option_shows_the_known_ones(site: str) -> None:
    with pytest.raises(UMTError, match=r"unexpected keyword argument 'depth'; it takes \(width=8\)"):
        create_backbone(f"{site}:Patches?depth=3", trusted=True)


def test_something_else_than_a_backbone_is_refused(site: str) -> None:
    with pytest.raises(UMTError, match=r"gave a str; its factory must return a umt\.backbones\.Backbone"):
        create_backbone(f"{site}:nothing", trusted=True)


def test_a_plug_in_whose_own_import_fails_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plug_in_with_gaps.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        create_backbone("plug_in_with_gaps:build", trusted=True)


def test_only_checkpoints_have_spaces() -> None:
    with pytest.raises(UMTError, match="leave out '#dino'"):
        create_backbone("timm:test_vit#dino")


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_convnext", "torchvision:resnet18"])
def test_weights_may_be_bfloat16_and_features_are_float32(name: str) -> None:
    full = create_backbone(f"{name}?pretrained=false")
    half = create_backbone(f"{name}?pretrained=false&dtype=bf16")
    assert {value.dtype for value in half.parameters()} == {torch.bfloat16}
    assert half.mean.dtype == torch.float32
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features, expected = half(images), full(images)
    assert {value.dtype for value in [features.pooled, *features.maps]} == {torch.float32}
    similar = torch.nn.functional.cosine_similarity(features.pooled, expected.pooled)
    assert similar.min() > 0.99
    assert [finding for finding in check_backbone(half) if finding.problem] == []


def test_an_unknown_dtype_is_named() -> None:
    with pytest.raises(UMTError, match=r"unknown dtype of backbone .* 'bf15'\. Did you mean bf16"):
        create_backbone("timm:test_vit?pretrained=false&dtype=bf15")


def test_a_checkout_by_its_hubconf(tmp_path: Path) -> None:
    (tmp_path / "hubconf.py").write_text(
        "import timm\ndef tiny(pretrained=True, depth=6):\n"
        "    return timm.create_model('test_vit', num_classes=3, depth=depth, dynamic_img_size=True)\n"
    )
    backbone = create_backbone(f"hub:{tmp_path}/tiny?depth=2&mean=0.4", trusted=True)
    assert (backbone.depth, backbone.architecture, backbone.preprocess.mean) == (2, "tiny", (0.4,) * 3)
    with pytest.raises(UMTError, match=r"has no hubconf\.py; write hub:FOLDER/ENTRY"):
        create_backbone(f"hub:{tmp_path}/absent/tiny", trusted=True)
    with pytest.raises(UMTError, match="tyni"):
        create_backbone(f"hub:{tmp_path}/tyni", trusted=True)


def test_what_export_writes_can_be_read(tmp_path: Path) -> None:
    student = create_backbone("timm:test_vit?pretrained=false&mean=0.3&std=0.2&size=96")
    write_timm_folder(student, tmp_path)
    backbone = create_backbone(f"timm:local-dir:{tmp_path}", trusted=True)
    assert backbone.weights_hash() == student.weights_hash()
    assert (backbone.preprocess, backbone.notes) == (student.preprocess, ())
    assert create_backbone(f"local-dir:{tmp_path}", trusted=True).weights_hash() == student.weights_hash()


def test_random_weights_are_noted(tmp_path: Path) -> None:
    random = create_backbone("timm:test_vit?pretrained=false")
    assert random.notes == ("random weights (pretrained=false)",)
    save_checkpoint(tmp_path / "student.pth", random)
    assert create_backbone(f"{tmp_path}/student.pth").notes == (), "those of a checkpoint are its own"
