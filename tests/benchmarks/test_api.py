"""`umt.evaluate`: the same numbers in this process and in others, objects in place of names, and its errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import umt
from umt.backbones import Backbone, Features, Preprocess
from umt.errors import BackboneError, OptionError, PackageError, ProcessError, UMTError, UnknownNameError

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
    with pytest.raises(ProcessError, match=r"none of 1 jobs has a result; tiny .*unknown timm model 'resnet5'"):
        umt.evaluate("tiny=timm:resnet5", **arguments(), workers=0, quiet=True)


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
        ({"backbones": [f"a={TINY}", "a=timm:test_vit?pretrained=false"]}, OptionError, "two backbones are called 'a'"),
        ({"backbones": []}, OptionError, "has no example"),
        ({"backbones": torch.nn.Linear(2, 2)}, BackboneError, "'Linear' is a Linear, and no umt.backbones.Backbone"),
        ({"backbones": Patches(), "workers": 2}, OptionError, "give workers=0, or a name that builds it"),
        ({"backbones": {"mine": Patches()}, "workers": None}, OptionError, "'mine' is an object"),
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
