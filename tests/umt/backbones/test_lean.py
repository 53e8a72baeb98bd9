"""Weights in memory once, and nothing but the file's values in the model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from umt.backbones import Backbone, create_backbone
from umt.backbones.adapters import building
from umt.backbones.lean import adopt, uninitialised, with_weights

NAMES = ["test_vit", "test_resnet", "test_convnext", "vit_small_patch16_dinov3?depth=1&embed_dim=64&num_heads=2"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_a_file_is_the_model_that_was_saved(name: str, tmp_path: Path, images) -> None:
    source = create_backbone(f"timm:{name}{'&' if '?' in name else '?'}pretrained=false", seed=5)
    torch.save(source.model.state_dict(), tmp_path / "w.pth")
    loaded = create_backbone(f"timm:{name}{'&' if '?' in name else '?'}weights={tmp_path}/w.pth")
    assert loaded.load_report.complete
    assert loaded.weights_hash() == source.weights_hash()
    assert all(value.requires_grad for value in loaded.parameters())
    torch.testing.assert_close(loaded(images(64)).pooled, source(images(64)).pooled)


def test_parameters_are_left_and_buffers_are_made() -> None:
    state = torch.get_rng_state()
    with uninitialised():
        model = timm.create_model("vit_small_patch16_dinov3", depth=1, embed_dim=64, num_heads=2)
        plain = nn.Linear(3, 3)
    assert torch.get_rng_state().equal(state), "no random number was drawn"
    made = timm.create_model("vit_small_patch16_dinov3", depth=1, embed_dim=64, num_heads=2)
    for (name, found), (_, wanted) in zip(model.named_buffers(), made.named_buffers(), strict=True):
        assert found.equal(wanted), name
    nn.init.ones_(plain.weight)
    assert plain.weight.eq(1).all(), "afterwards all is as it was"


def test_tensors_that_share_memory_in_a_file_do_not_in_the_model() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    whole = torch.arange(12.0)
    shared = whole[:4].view(2, 2)
    adopt(model, {"a.weight": shared, "b.weight": shared, "a.bias": whole[4:6], "b.bias": whole[4:6].half()})
    with torch.no_grad():
        model["a"].weight.add_(1)
        model["a"].bias.add_(1)
    assert model["b"].weight.equal(shared)
    assert model["b"].bias.equal(torch.tensor([4.0, 5.0]))
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert whole.equal(torch.arange(12.0))
    assert all(value.untyped_storage().nbytes() == value.nbytes for value in model.parameters())


PEAK = """
import sys
from umt.backbones import create_backbone

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

create_backbone("timm:test_vit?pretrained=false")
before = peak()
backbone = create_backbone(sys.argv[1])
backbone.weights_hash()
print((peak() - before) * 1024 / sum(value.nbytes for value in backbone.parameters()))
"""


MODELS: dict[str, Callable[[], nn.Module]] = {
    "timm:vit_large_patch16_224?depth=12": lambda: timm.create_model("vit_large_patch16_224", depth=12, num_classes=0),
    "torchvision:vit_l_16": models.vit_l_16,
    "open_clip:ViT-L-14": lambda: open_clip.create_model("ViT-L-14"),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize(("name", "suffix"), [*((name, "pth") for name in MODELS), (next(iter(MODELS)), "safetensors")])
def test_building_takes_hardly_more_than_the_weights(tmp_path: Path, name: str, suffix: str) -> None:
    state = MODELS[name]().state_dict()
    file = tmp_path / f"w.{suffix}"
    torch.save(state, file) if suffix == "pth" else save_file(state, file)
    command = [sys.executable, "-c", PEAK, f"{name}{'&' if '?' in name else '?'}weights={file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert float(done.stdout) < 1.2, done.stderr


@pytest.fixture
def hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where libraries look for what they have fetched before."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf/hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(building, "answers", lambda hub: False)
    return tmp_path


def equal(backbone: Backbone, state: Mapping[str, torch.Tensor]) -> bool:
    values = backbone.model.state_dict()
    return bool(values) and all(value.equal(state[name]) for name, value in values.items())


def saved(name: str, folder: Path, **options: object) -> dict[str, torch.Tensor]:
    """Save random weights of a torchvision model where torch.hub keeps what it has fetched."""
    torch.manual_seed(4)
    state = models.get_model(name).state_dict()
    file = folder / "torch/hub/checkpoints" / Path(models.get_model_weights(name)["DEFAULT"].url).name
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, file, **options)
    return state


@pytest.mark.parametrize("zipped", [True, False])  # the old format cannot be mapped
def test_weights_of_torchvisions_hub_are_those_of_its_file(hubs: Path, zipped: bool) -> None:
    state = saved("mobilenet_v3_small", hubs, _use_new_zipfile_serialization=zipped)
    backbone = create_backbone("torchvision:mobilenet_v3_small")
    assert equal(backbone, state)
    assert all(value.requires_grad for value in backbone.parameters())


def test_weights_of_timms_hub_are_those_of_its_file(hubs: Path) -> None:
    source = create_backbone("timm:test_vit?pretrained=false", seed=5)
    state = {**source.model.state_dict(), "head.weight": torch.zeros(1000, 64), "head.bias": torch.zeros(1000)}
    snapshot = hubs / "hf/hub/models--timm--test_vit.r160_in1k/snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("a" * 40)
    save_file(state, snapshot / "model.safetensors")
    backbone = create_backbone("timm:test_vit.r160_in1k")
    assert equal(backbone, state)
    assert all(value.untyped_storage().nbytes() == value.nbytes for value in backbone.parameters())


def test_weights_of_a_checkout_are_those_of_its_file(hubs: Path) -> None:
    state = saved("mobilenet_v3_small", hubs)
    lines = [
        "import torch",
        "from torchvision.models import mobilenet_v3_small",
        "def net():",
        "    model = mobilenet_v3_small()",
        "    model.load_state_dict(torch.hub.load_state_dict_from_url('https://x/mobilenet_v3_small-047dcff4.pth'))",
        "    return model",
    ]
    (hubs / "hubconf.py").write_text("\n".join(lines))
    assert equal(create_backbone(f"hub:{hubs}/net", trusted=True), state)


def test_what_the_file_leaves_out_has_the_values_of_an_ordinary_build() -> None:
    loaded = nn.Linear(3, 3).weight.detach().clone()

    def half_loaded() -> nn.Module:
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[0].load_state_dict({"weight": loaded}, strict=False)
        return model

    torch.manual_seed(1)
    ordinary = half_loaded().state_dict()
    torch.manual_seed(1)
    lean = with_weights(half_loaded).state_dict()
    assert all(lean[name].equal(value) for name, value in ordinary.items())


def test_values_that_change_after_the_load_are_kept() -> None:
    def doubled() -> nn.Module:
        model = nn.Linear(2, 1, bias=False)
        model.load_state_dict({"weight": torch.ones(1, 2)})
        with torch.no_grad():
            model.weight.mul_(2)
        return model

    assert with_weights(doubled).weight.eq(2).all()
