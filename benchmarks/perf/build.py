"""Peak memory and time of building a ViT-L with weights from a hub, against a bare load by the library itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import open_clip
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from benchmarks.perf.row import PerfRow
from umt.errors import ProcessError

TIMM, TORCHVISION = "vit_large_patch16_224.augreg_in21k_ft_in1k", "vit_l_16"
OPEN_CLIP = ("ViT-L-14", "laion2b_s32b_b82k")
SMALL = "timm:test_vit?pretrained=false"  # built first, so that imports and torch's own memory do not count
REVISION = "a" * 40  # of a stand-in for a repository
# argv: ours or bare, a name, what a process does to build it, by the library alone
SCRIPT = """
import sys, time
from umt.backbones import create_backbone

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

whose, name, small, loader = sys.argv[1:]
create_backbone(small)
exec(loader)
before, started = peak(), time.perf_counter()
model = create_backbone(name, trusted=True) if whose == "ours" else build()
seconds = time.perf_counter() - started
for value in model.state_dict().values():
    value.sum()
print((peak() - before) * 1024 / sum(value.nbytes for value in model.state_dict().values()), seconds)
"""


@dataclass(frozen=True)
class HubModel:
    """A name whose weights come from a hub, and the code of its library that loads them."""

    name: str
    loader: str  # defines build()
    write: Callable[[Path], None]  # the weights, random, where the library looks for what it has fetched


def measure(_: torch.device) -> list[PerfRow]:
    """Measure each library: a peak of at most 1.2 times the weights, and not above that of the library."""
    hub_models = [timm_model(TIMM), torchvision_model(TORCHVISION), open_clip_model(*OPEN_CLIP)]
    if find_spec("transformers"):
        hub_models.append(hf_model())
    with tempfile.TemporaryDirectory() as folder:
        return [row for model in hub_models for row in rows(model, Path(folder) / model.name.partition(":")[0])]


def rows(model: HubModel, cache: Path) -> list[PerfRow]:
    """Build a model in two processes, by us and by its library."""
    cache.mkdir(parents=True)
    model.write(cache)
    (peak, seconds), (bare_peak, bare_seconds) = (_built(model, cache, whose) for whose in ("ours", "bare"))
    job = f"build {model.name.replace('{cache}/', '')}"
    return [
        PerfRow(f"{job}: peak memory", "1.2 times the weights", 1.2, peak, 1.0, unit="x weights"),
        PerfRow(f"{job}: peak memory", "the library alone", bare_peak, peak, 0.95, unit="x weights"),
        PerfRow(f"{job}: time", "the library alone", bare_seconds, seconds, 0.5, note="ours measures its shapes"),
    ]


def _built(model: HubModel, cache: Path, whose: str) -> tuple[float, float]:
    """Return the peak over the weights, and seconds."""
    places = {"HF_HOME": str(cache / "hf"), "TORCH_HOME": str(cache / "torch"), "HF_HUB_OFFLINE": "1"}
    name, loader = (text.replace("{cache}", str(cache)) for text in (model.name, model.loader))
    command = [sys.executable, "-c", SCRIPT, whose, name, SMALL, loader]
    environment = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProcessError(f"{name}: the process that builds it ended with: {done.stderr.strip().splitlines()[-1]}")
    peak, seconds = map(float, done.stdout.split())
    return peak, seconds


def timm_model(name: str) -> HubModel:
    def write(cache: Path) -> None:
        state = timm.create_model(name).state_dict()
        repository = str(getattr(timm.get_pretrained_cfg(name), "hf_hub_id", ""))
        _write_repository(cache, repository, "model.safetensors", state)

    loader = f"import timm\nbuild = lambda: timm.create_model('{name}', pretrained=True, num_classes=0)"
    return HubModel(f"timm:{name}", loader, write)


def torchvision_model(name: str) -> HubModel:
    def write(cache: Path) -> None:
        file = cache / "torch/hub/checkpoints" / Path(models.get_model_weights(name)["DEFAULT"].url).name
        file.parent.mkdir(parents=True)
        torch.save(models.get_model(name).state_dict(), file)

    loader = f"from torchvision import models\nbuild = lambda: models.get_model('{name}', weights='DEFAULT')"
    return HubModel(f"torchvision:{name}?weights=DEFAULT", loader, write)


def open_clip_model(architecture: str, tag: str) -> HubModel:
    def write(cache: Path) -> None:
        repository = str(open_clip.get_pretrained_cfg(architecture, tag)["hf_hub"]).rstrip("/")
        state = open_clip.create_model(architecture).state_dict()
        _write_repository(cache, repository, "open_clip_model.safetensors", state)

    loader = f"import open_clip\nbuild = lambda: open_clip.create_model('{architecture}', '{tag}').visual"
    return HubModel(f"open_clip:{architecture}/{tag}", loader, write)


def hf_model() -> HubModel:
    def write(cache: Path) -> None:
        from transformers import Dinov2Config, Dinov2Model, ViTImageProcessor

        config = Dinov2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16)
        Dinov2Model(config).save_pretrained(cache / "model")
        ViTImageProcessor().save_pretrained(cache / "model")

    loader = "from transformers import AutoModel\nbuild = lambda: AutoModel.from_pretrained('{cache}/model')"
    return HubModel("hf:{cache}/model", loader, write)


def _write_repository(cache: Path, repository: str, file: str, state: Mapping[str, Tensor]) -> None:
    """Write weights as huggingface_hub keeps what it has fetched."""
    folder = cache / "hf/hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(REVISION)
    save_file({name: value.contiguous() for name, value in state.items()}, snapshot / file)
