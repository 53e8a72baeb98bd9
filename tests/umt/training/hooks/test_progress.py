"""Progress of a training: where an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.hooks import Hook

from umt.training.engine import Extras, Recipe


class StopHook(Hook):
    """Ends a run as an interruption would."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:  # type: ignore[no-untyped-def]
        if runner.iter == 3:
            raise KeyboardInterrupt


def test_a_run_tells_first_from_where_it_goes_on(train: Callable[..., object], recipe: Recipe, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    with pytest.raises(KeyboardInterrupt, match=r"the same command goes on from .*resume\.pth \(step 2\)"):
        train(
            recipe,
            work_dir=tmp_path / "run",
            report=lambda *text: told.append(text),
            extras=Extras(save_every=2, hooks=(StopHook(),)),
        )
    assert not any("going on" in text for _, _, text in told)
    told.clear()
    train(recipe, work_dir=tmp_path / "run", report=lambda *text: told.append(text))
    assert told[0] == (2, 6, "going on from iteration 2"), "the last save"
    assert told[-1][:2] == (6, 6)
