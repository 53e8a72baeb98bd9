"""The benchmark of a dense training step runs, on a tiny model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.perf import nyu_step
from depth import nyuv2

CPU = torch.device("cpu")


@pytest.fixture
def setting() -> nyu_step.StepSetting:
    usual = nyu_step.StepSetting.on(CPU)
    small = replace(usual.settings, crop=(64, 64), channels=8, post_process_channels=(4, 4, 4, 4))
    return nyu_step.StepSetting(small, CPU, repeats=1)


def test_a_step_is_compared_with_forward_and_backward(
    setting: nyu_step.StepSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []

    def noted(*args: object) -> torch.nn.Module:
        models.append(nyuv2.build_model(*args))
        models.append({name: value.clone() for name, value in models[0].named_parameters()})
        return models[0]

    monkeypatch.setattr(nyu_step, "build_model", noted)
    row, memory = nyu_step.rows("test_resnet", setting)
    assert row.job == f"NYUv2 training step, test_resnet, 2 crops of 64 px, {setting.settings.precision}"
    assert row.theirs > 0
    assert float(row.note.split()[0]) == pytest.approx(2 / row.ours, rel=0.01)
    assert (memory.job, memory.unit) == (f"{row.job}, peak memory", "MiB")
    assert 0 < memory.theirs < 1.1 * memory.ours
    model, before = models
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert moved, "ours is a whole step"
    assert all(value.isfinite().all() for value in model.parameters())


def test_a_batch_is_as_loaders_give_it(setting: nyu_step.StepSetting) -> None:
    batch = setting.batch()
    assert [(image.dtype, *image.shape) for image in batch["inputs"]] == [(torch.uint8, 3, 64, 64)] * 2
    truth = torch.cat([sample.gt_depth_map.data for sample in batch["data_samples"]])
    assert 0.7 < float((truth > 0).float().mean()) < 0.9
    assert float(truth.max()) <= 10
