"""`umt.evaluate`: the same numbers in this process and in others, objects in place of names, and its errors."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision

import umt
from umt.backbones import Backbone, Features, Preprocess
from umt.errors import (
    BackboneError,
    MissingFileError,
    OptionError,
    PackageError,
    ProcessError,
    UMTError,
    UnknownNameError,
)

Make = Callable[..., Any]
TINY = "timm:test_resnet?pretrained=false"


class Patches(Backbone):
    """A class that no name leads to."""

    def __init__(self) -> None:
        super().__init__(Preprocess(size_multiple=8), channels=[8], strides=[8], dim=8)
        self.embed = torch.nn.Conv2d(3, 8, 8, 8)
        self.norm = torch.nn.BatchNorm2d(8)

    def extract(self, images: torch.Tensor, maps: Any) -> Features:
        fmap = self.norm(self.embed(images))
        return Features(fmap.mean((2, 3)), None, [fmap for _ in maps])


@pytest.fixture
def arguments(small_suite: Make) -> Callable[..., dict[str, Any]]:
    """The arguments for a small suite, whose columns have the named behaviours."""

    def make(**behaviours: str) -> dict[str, Any]:
        suite = small_suite(**behaviours)
        return {"suite": str(suite.file), "data_root": suite.data_root, "out": suite.out, "device": "cpu"}

    return make


def test_this_process_and_others_give_the_same(arguments: Make, tmp_path: Path) -> None:
    given = arguments(one="ok", two="ok") | {"seeds": 2}
    here = umt.evaluate({"tiny": TINY}, **given, workers=0)
    there = umt.evaluate(f"tiny={TINY}", **given | {"out": tmp_path / "other"}, workers=2)
    assert len(here) == 4
    assert here.drop(columns="path").equals(there.drop(columns="path"))
    assert here.equals(umt.load_results(given["out"]))
    for row in here.to_dict("records"):
        record = json.loads(Path(row["path"]).read_text())
        assert (row["value"], row["seed"]) == (record["metrics"]["brightness"], record["key"]["seed"])


def test_jobs_of_this_process_are_seen_by_the_caller(arguments: Make, capfd: pytest.CaptureFixture[str]) -> None:
    state = torch.get_rng_state()
    umt.evaluate(TINY, **arguments(), workers=0)
    assert f"server {os.getppid()}" in capfd.readouterr().out, "what a task prints is not sent to a log"
    assert torch.get_rng_state().equal(state)


def test_a_real_task_measures_an_object_as_it_measures_its_name(image_folder: Make, tmp_path: Path) -> None:
    image_folder(tmp_path / "data" / "imagenet")
    suite = tmp_path / "probe.yaml"
    column = "{heading: H, task: knn, dataset: imagenet, protocol: mini, metric: top1}"
    tables = f"{{t: {{title: T, columns: [{column}]}}}}"
    suite.write_text(f"title: T\nabout: A\nseeds: 1\nembedded_data: false\ntables: {tables}\n")
    given = {"suite": str(suite), "data_root": tmp_path / "data", "workers": 0, "quiet": True}
    mine = umt.create_backbone(TINY).train()
    frame = umt.evaluate({"named": TINY, "mine": mine}, **given, out=tmp_path / "out")
    named, given_object = (frame[frame["backbone"] == label].iloc[0] for label in ("named", "mine"))
    for name in ("value", "weights_hash", "protocol_hash", "n"):
        assert named[name] == given_object[name]
    assert mine.training, "the caller's own model stays as it is"
    assert named["interval_low"] <= named["value"] <= named["interval_high"]
    with np.load(Path(named["path"]).with_suffix(".npz")) as raw:
        assert all((tmp_path / "data" / "imagenet" / name).is_file() for name in raw["image"])
        assert len(raw["image"]) == len(raw["predictions"]) == named["n"]


@pytest.mark.parametrize("asked", [True, False])
def test_the_curves_of_a_fine_tuning_are_kept_beside_it(
    image_folder: Make, tmp_path: Path, wandb: Any, asked: bool
) -> None:
    image_folder(tmp_path / "data" / "imagenet")
    suite = tmp_path / "tune.yaml"
    column = "{heading: H, task: imagenet_finetune, dataset: imagenet, protocol: mini, metric: top1}"
    suite.write_text(f"title: T\nabout: A\nseeds: 1\nembedded_data: false\ncolumns: [{column}]\n")
    given = {"suite": str(suite), "data_root": tmp_path / "data", "workers": 0, "quiet": True, "device": "cpu"}
    umt.evaluate({"tiny": TINY}, **given, out=tmp_path / "out", wandb=asked)
    (job,) = (tmp_path / "out" / "work" / "tiny").iterdir()
    lines = [json.loads(line) for line in (job / "log.jsonl").read_text().splitlines()]
    assert {"step", "loss", "lr"} <= lines[-1].keys()
    assert len(list(job.glob("tensorboard/events.out.tfevents.*"))) == 1
    assert [run.options["name"] for run in wandb.RUNS] == [f"tiny/{job.name}"] * asked
    assert all(len(run.logged) == len(lines) for run in wandb.RUNS)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_kept_model_is_read_when_its_fine_tuning_has_ended(image_folder: Make, tmp_path: Path, workers: int) -> None:
    """In whatever order the columns stand, and with a free worker beside it."""
    image_folder(tmp_path / "data" / "imagenet")
    suite = tmp_path / "tune.yaml"
    columns = ", ".join(
        f"{{heading: {task}, task: {task}, dataset: imagenet, protocol: mini, metric: top1}}"
        for task in ("robustness_finetuned", "imagenet_finetune")
    )
    tables = f"{{table1: {{title: T, columns: [{columns}]}}}}"
    suite.write_text(f"title: T\nabout: A\nseeds: 1\nembedded_data: false\ntables: {tables}\n")
    given = {"suite": str(suite), "data_root": tmp_path / "data", "workers": workers, "quiet": True, "device": "cpu"}
    with pytest.raises(ProcessError, match=r"no fine-tuned model of backbone .*run imagenet_finetune by"):
        umt.evaluate({"tiny": TINY}, **given, out=tmp_path / "out", tasks="robustness_finetuned")
    results = umt.evaluate({"tiny": TINY}, **given, out=tmp_path / "out")
    assert results.loc[results["metric"] == "top1", "value"].nunique() == 1
    assert set(results["task"]) == {"imagenet_finetune", "robustness_finetuned"}


def test_wandb_that_is_not_installed_is_told_before_anything_runs(arguments: Make) -> None:
    given = arguments()
    with pytest.raises(PackageError, match="--wandb: the package wandb is not installed; pip install wandb"):
        umt.evaluate(TINY, **given, workers=0, wandb=True)
    assert not given["out"].exists()


def test_a_model_that_no_name_leads_to(arguments: Make) -> None:
    model = Patches()
    frame = umt.evaluate([model, Path("timm:test_vit?pretrained=false")], **arguments(), workers=0, quiet=True)
    assert list(frame["backbone"]) == ["Patches", "test_vit (pretrained=False)"]
    assert frame["spec"][0] == "Patches"
    assert frame["weights_hash"][0] == model.eval().weights_hash()


def test_jobs_without_a_result_are_warnings_and_the_rest_is_returned(arguments: Make) -> None:
    given = arguments(bad="raise", good="ok")
    with pytest.warns(UserWarning, match=r"left out: tiny · brightness · imagenet · bad · seed 0: ValueError"):
        frame = umt.evaluate(f"tiny={TINY}", **given, workers=0, quiet=True)
    assert list(frame["protocol"]) == ["good"]


def test_no_result_at_all_is_an_error(arguments: Make) -> None:
    with pytest.raises(ProcessError, match=r"none of 1 jobs has a result; tiny .*ValueError"):
        umt.evaluate(f"tiny={TINY}", **arguments(bad="raise"), workers=0, quiet=True)


@pytest.mark.parametrize("name", ["tiny=timm:resnet5", "absent.pth", "timm:test_vit?weights=absent.pth", "absent.py:f"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistyped_name_is_one_error_and_nothing_is_planned(arguments: Make, name: str, workers: int) -> None:
    with pytest.raises((MissingFileError, UnknownNameError)):
        umt.evaluate([TINY, name], **arguments(), workers=workers, quiet=True)


def test_a_script_without_a_guard_runs_once(arguments: Make, tmp_path: Path) -> None:
    given = {name: str(value) for name, value in arguments().items()}
    script = tmp_path / "script.py"
    script.write_text(
        f"import umt\nprint('starts')\nprint(len(umt.evaluate('tiny={TINY}', **{given!r}, quiet=True)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines() == ["starts", "1"], done.stderr


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"suite": "papr"}, UnknownNameError, "Did you mean paper?"),
        (
            {"backbones": [f"a={TINY}", "a=timm:test_vit?pretrained=false"]},
            OptionError,
            "two backbones have the label 'a'",
        ),
        ({"backbones": []}, OptionError, "has no example"),
        ({"backbones": torch.nn.Linear(2, 2)}, BackboneError, "of no library that is known here; pass features="),
        ({"backbones": {"mine": 3}}, BackboneError, "backbone 'mine' is a int, and no torch.nn.Module"),
        ({"preprocess": "imagenet"}, OptionError, "write options into a name: NAME?mean=0.5&std=0.5"),
        ({"backbones": Patches(), "workers": 2}, OptionError, "give workers=0, or a name that builds it"),
        ({"backbones": Patches(), "workers": None, "time_limit": 1}, OptionError, "workers=0 runs all jobs in this"),
        ({"tasks": "brightnes"}, UnknownNameError, "Did you mean brightness?"),
        ({"time_limit": 1}, OptionError, "workers=0 runs all jobs in this process"),
        ({"processes": 2}, OptionError, "workers=0 runs all jobs in this process"),
        ({"workers": -1}, OptionError, "workers is -1; take 0 or more"),
        ({"seeds": 0}, OptionError, "seeds is 0; take 1 or more"),
    ],
)
def test_wrong_arguments_say_what_to_write(
    arguments: Make, change: dict[str, Any], kind: type[UMTError], message: str
) -> None:
    given = {"backbones": TINY, "workers": 0, "quiet": True} | arguments() | change
    with pytest.raises(kind) as raised:
        umt.evaluate(given.pop("backbones"), **given)
    assert message in str(raised.value)


class Own(torch.nn.Module):
    """A network that nobody knows, with dropout, batch statistics and a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8, 8), torch.nn.BatchNorm2d(8), torch.nn.Dropout(0.5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images).mean((2, 3))


@pytest.fixture
def probe(image_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments for k-NN on a small ImageNet, in a folder that is empty."""
    image_folder(tmp_path / "data" / "imagenet")
    column = "{heading: H, task: knn, dataset: imagenet, protocol: mini, metric: top1}"
    suite = tmp_path / "probe.yaml"
    suite.write_text(f"title: T\nabout: A\nseeds: 1\nembedded_data: false\ncolumns: [{column}]\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return {"suite": str(suite), "data_root": tmp_path / "data", "device": "cpu", "quiet": True, "tasks": ["knn"]}


@pytest.mark.parametrize("module", ["timm", "torchvision", "own"])
def test_any_module_is_measured_as_its_name_is(probe: dict[str, Any], module: str, tmp_path: Path) -> None:
    if module == "own":
        own = Own().eval()
        frame = umt.evaluate(own, preprocess="clip", features=lambda net, images: net(images), **probe)
        assert list(frame["backbone"].unique()) == ["Own"]
        return
    name = {"timm": "timm:test_vit", "torchvision": "torchvision:resnet18"}[module] + "?pretrained=false"
    made = umt.create_backbone(name)
    given = (
        timm.create_model("test_vit", num_classes=9) if module == "timm" else torchvision.models.resnet18(num_classes=9)
    )
    given.load_state_dict(made.model.state_dict(), strict=False)
    if module == "torchvision":  # a classifier's file says how its images are cropped, a module does not
        name += "&size=224"
    mine = umt.evaluate({"a": given}, **probe).set_index("metric")["value"]
    named = umt.evaluate(f"a={name}", **probe, out=tmp_path / "named", workers=0).set_index("metric")["value"]
    assert mine.to_dict() == pytest.approx(named.to_dict(), rel=1e-4)


@pytest.mark.parametrize("surroundings", ["plain", "inference", "no_grad", "autocast"])
def test_an_evaluation_during_training_changes_nothing(
    probe: dict[str, Any], surroundings: str, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    module = Own().to(memory_format=torch.channels_last).train()
    module.body[2].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    seen = {"torch": torch.get_rng_state(), "numpy": np.random.get_state()[1], "python": random.getstate()}
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    around = {
        "plain": contextlib.nullcontext(),
        "inference": torch.inference_mode(),
        "no_grad": torch.no_grad(),
        "autocast": torch.autocast("cpu", torch.bfloat16),
    }[surroundings]
    reference = umt.evaluate(copy.deepcopy(module), preprocess="imagenet", features=lambda net, x: net(x), **probe)
    with around:
        frame = umt.evaluate(module, preprocess="imagenet", features=lambda net, x: net(x), **probe)
        assert torch.is_inference_mode_enabled() == (surroundings == "inference")
        assert torch.is_autocast_enabled("cpu") == (surroundings == "autocast")
        assert torch.is_grad_enabled() == (surroundings not in ("no_grad", "inference"))
    assert frame.equals(reference), "precision and mode of the surroundings are left"
    assert [part.training for part in module.modules()] == [True, True, True, True, False]
    assert module.body[0].weight.is_contiguous(memory_format=torch.channels_last)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert torch.equal(seen["torch"], torch.get_rng_state())
    assert (seen["numpy"] == np.random.get_state()[1]).all()
    assert seen["python"] == random.getstate()
    assert (threads, precision) == (torch.get_num_threads(), torch.get_float32_matmul_precision())
    loss = module(torch.rand(2, 3, 32, 32)).sum()
    loss.backward()
    assert module.body[0].weight.grad is not None, "and the training goes on"


def test_nothing_is_written_unless_asked_for(probe: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    frame = umt.evaluate(Own(), preprocess="imagenet", features=lambda net, x: net(x), **probe)
    assert list(Path.cwd().iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []
    assert set(frame["path"]) == {""}
    asked = umt.evaluate(Own(), preprocess="imagenet", features=lambda net, x: net(x), **probe, out="asked")
    assert all(Path(path).is_file() for path in asked["path"])
    assert not Path("asked/cache").exists(), "features of a module that changes are of no use later"


def test_random_weights_are_a_footnote(probe: dict[str, Any], tmp_path: Path) -> None:
    frame = umt.evaluate(f"tiny={TINY}", **probe, out=tmp_path / "out", workers=0)
    record = json.loads(Path(frame["path"][0]).read_text())
    assert record["footnote"].endswith("tiny: random weights (pretrained=false).")


MAIN_ONLY = """
import sys, torch, umt
from torch import distributed, nn
rank = int(sys.argv[1])
distributed.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
given = dict(suite=sys.argv[3], data_root=sys.argv[4], device="cpu", quiet=True)
net = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
frame = umt.evaluate(nn.parallel.DistributedDataParallel(net), preprocess="clip", features=lambda m, x: m(x), **given)
distributed.barrier()
print(rank, len(frame), sorted(set(frame["backbone"])))
"""


def test_only_the_main_process_evaluates(probe: dict[str, Any], tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN_ONLY]
    place = [str(tmp_path / "meeting"), probe["suite"], str(probe["data_root"])]
    running = [subprocess.Popen([*command, str(rank), *place], stdout=subprocess.PIPE, text=True) for rank in (0, 1)]
    outputs = [process.communicate(timeout=300)[0] for process in running]
    assert outputs[0].startswith("0 ")
    assert outputs[0].strip().endswith("['Sequential']")
    assert outputs[1] == "1 0 []\n"
