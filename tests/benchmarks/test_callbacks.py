"""Evaluation during a training: by Lightning's Trainer, by mmengine's Runner, and in a plain loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

import umt
from benchmarks import callbacks
from benchmarks.callbacks import EvaluationHook, lightning_callback
from umt.errors import OptionError, PackageError

TOP1 = "umt/knn/imagenet/mini/top1"


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, 8)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(images)).mean((2, 3))


def features(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return module(images)


@pytest.fixture
def options(image_folder: Callable[..., Path], tmp_path: Path) -> dict[str, Any]:
    """The arguments for k-NN of a `Body` on a small ImageNet."""
    image_folder(tmp_path / "data" / "imagenet")
    column = "{heading: H, task: knn, dataset: imagenet, protocol: mini, metric: top1}"
    suite = tmp_path / "probe.yaml"
    suite.write_text(f"title: T\nabout: A\nseeds: 1\nembedded_data: false\ncolumns: [{column}]\n")
    places = {"suite": str(suite), "data_root": tmp_path / "data", "device": "cpu"}
    return {"preprocess": "imagenet", "features": features, **places}


def expected(module: nn.Module, options: dict[str, Any]) -> dict[str, float]:
    frame = umt.evaluate({"module": module}, **options, quiet=True)
    return {f"umt/knn/imagenet/mini/{name}": value for name, value in zip(frame["metric"], frame["value"], strict=True)}


def test_a_plain_loop_of_three_lines(options: dict[str, Any]) -> None:
    model, seen = Body(), []
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        model.train()
        optimiser.zero_grad()
        model(torch.rand(4, 3, 32, 32)).square().sum().backward()
        optimiser.step()
        frame = umt.evaluate(model, **options, quiet=True)
        seen.append(frame.set_index("metric")["value"])
        assert model.training
    assert {"top1", "rankme", "effective_rank"} <= set(seen[0].index)
    assert not seen[0].equals(seen[1]), "the module as it is now is measured"


class Toy(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.body = Body()

    def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> Any:
        found = self.body(inputs)
        return {"loss": found.square().sum()} if mode == "loss" else found


@pytest.mark.parametrize(("by_epoch", "every", "steps"), [(True, 2, [6, 12]), (False, 4, [4, 8, 12])])
def test_mmengines_runner_logs_what_evaluate_finds(
    options: dict[str, Any], tmp_path: Path, by_epoch: bool, every: int, steps: list[int]
) -> None:
    hook = EvaluationHook("body", every=every, by_epoch=by_epoch, **options)
    logged: dict[int, dict[str, float]] = {}
    model = Toy()
    runner = Runner(
        model,
        str(tmp_path / "work"),
        train_dataloader=torch.utils.data.DataLoader(
            [{"inputs": torch.rand(3, 32, 32)} for _ in range(6)], batch_size=2
        ),
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        train_cfg={"by_epoch": True, "max_epochs": 4},
        custom_hooks=[hook],
        experiment_name=f"toy-{by_epoch}",
        cfg=Config({}),
    )

    def record(found: dict[str, float], step: int, **_: Any) -> None:
        if TOP1 in found:  # mmengine logs its losses, too
            logged[step] = found

    runner.visualizer.add_scalars = record
    runner.train()
    assert list(logged) == steps
    assert logged[12] == expected(model.body, options)
    assert model.body.training


def test_mmengine_builds_it_from_a_configuration(options: dict[str, Any]) -> None:
    from mmengine.registry import HOOKS

    hook = HOOKS.build({"type": "UMTEvaluation", "part": "body", "every": 3, **options})
    assert isinstance(hook, EvaluationHook)
    assert (hook.every, hook.options["suite"]) == (3, options["suite"])


def lightning() -> ModuleType:
    return pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")


def test_lightnings_trainer_logs_what_evaluate_finds(options: dict[str, Any], tmp_path: Path) -> None:
    library = lightning()

    class Network(library.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.body = Body()

        def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
            return self.body(batch).square().sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    network, seen = Network(), {}

    class Recorder(library.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            seen[trainer.current_epoch] = dict(trainer.callback_metrics)

    trainer = library.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
        callbacks=[lightning_callback("body", every=2, **options), Recorder()],
    )
    trainer.fit(network, torch.utils.data.DataLoader([torch.rand(3, 32, 32) for _ in range(4)], batch_size=2))
    assert TOP1 not in seen[0]
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert found == pytest.approx(expected(network.body, options))
    assert network.body.training


def test_the_callback_needs_only_lightnings_interface(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = ModuleType("lightning.pytorch")
    stand_in.Callback = type("Callback", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning", ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.pytorch", stand_in)
    callback = lightning_callback(lambda module: module.body, every=2, **options)
    logged: list[dict[str, float]] = []
    module = nn.Module()
    module.body = Body()
    module.log_dict = lambda found, rank_zero_only: logged.append(found)
    for epoch in range(4):
        callback.on_train_epoch_end(SimpleNamespace(current_epoch=epoch), module)
    assert logged == [expected(module.body, options)] * 2


def test_without_lightning_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "LIGHTNING", ("no_such_package",))
    with pytest.raises(PackageError, match="pip install lightning"):
        lightning_callback()


def test_an_odd_interval_is_refused() -> None:
    with pytest.raises(OptionError, match="every is 0; take 1 or more"):
        EvaluationHook(every=0)
