"""Losses and weights that are no numbers: what is said, and what is not saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from umt.errors import UMTError
from umt.host_copies import HostCopy
from umt.training.engine import Extras, Recipe, RunContext, fit


class Ones(Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        return {"images": torch.ones(2)}


class TwoPart(BaseModel):
    """A loss of two parts, the second one spoilt from one forward on."""

    def __init__(self, spoilt: float, begin: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.spoilt, self.begin, self.calls = spoilt, begin, 0

    def forward(self, images: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        self.calls += 1
        fine = ((self.weight * images) ** 2).mean()
        other = fine.detach() * (self.spoilt if self.calls >= self.begin else 1.0)
        return {"loss": fine + other, "dino token": fine.detach(), "dino feature": other}


Run = Callable[..., None]


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path) -> Run:
    def run(model: TwoPart, *hooks: Hook) -> None:
        groups = [{"params": [model.weight], "lr": recipe.lr}]
        context = RunContext(torch.device("cpu"), tmp_path, 0, lambda *_: None)
        fit(model, groups, Ones(), recipe, context, extras=Extras(save_every=1, hooks=hooks))

    return run


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")])
def test_the_part_the_iteration_and_the_last_save_are_named(run: Run, tmp_path: Path, value: float, word: str) -> None:
    with pytest.raises(UMTError) as error:
        run(TwoPart(value, begin=4))
    saved = tmp_path / "resume.pth"
    assert str(error.value) == (
        f"iteration 4: loss 'dino feature' is {word}; the last good checkpoint is {saved} (step 3); "
        "lower lr (now 0.01) or set clip_norm"
    )
    assert torch.load(saved)["meta"]["iter"] == 3


@pytest.mark.parametrize("begin", [2, 4])
def test_a_run_without_saves_names_the_iteration_that_was_bad(
    recipe: Recipe, tmp_path: Path, begin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look comes later, at its interval or in the end."""
    monkeypatch.setattr("umt.training.hooks.finite.LOOK_EVERY", 5)
    model = TwoPart(float("nan"), begin)
    with pytest.raises(UMTError, match=rf"^iteration {begin}: loss 'dino feature' is nan; no checkpoint was saved"):
        fit(
            model,
            [{"params": [model.weight]}],
            Ones(),
            recipe,
            RunContext(torch.device("cpu"), tmp_path, 0, lambda *_: None),
        )
    assert model.calls == 5
    assert not (tmp_path / "resume.pth").exists()


def test_a_late_look_is_judged_an_iteration_later(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU's values are."""
    monkeypatch.setattr("umt.training.hooks.finite.LOOK_EVERY", 3)
    monkeypatch.setattr(HostCopy, "late", True)
    model = TwoPart(float("nan"), begin=2)
    with pytest.raises(UMTError, match=r"^iteration 2: loss 'dino feature' is nan"):
        fit(
            model,
            [{"params": [model.weight]}],
            Ones(),
            recipe,
            RunContext(torch.device("cpu"), tmp_path, 0, lambda *_: None),
        )
    assert model.calls == 4


def test_nothing_is_said_of_a_save_that_was_not_made(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="iteration 1: loss 'dino feature' is nan; no checkpoint was saved before"):
        run(TwoPart(float("nan"), begin=1))
    assert not (tmp_path / "resume.pth").exists()


def test_weights_that_are_no_numbers_are_not_saved(run: Run, tmp_path: Path) -> None:
    """As after a step whose loss was still finite."""

    class Spoil(Hook):
        def after_train_iter(self, runner, *_: object, **__: object) -> None:  # type: ignore[no-untyped-def]
            if runner.iter == 3:
                runner.model.weight.data.fill_(float("inf"))

    with pytest.raises(UMTError, match=r"iteration 4: weight 'weight' is not finite; .*\(step 3\)"):
        run(TwoPart(1.0, begin=0), Spoil())
    assert torch.load(tmp_path / "resume.pth")["meta"]["iter"] == 3
