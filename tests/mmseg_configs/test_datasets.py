"""The data sets read what mmseg's own read, and training draws depend on the seed and their number alone."""

from __future__ import annotations

import random

import numpy as np
from mmengine.registry import DefaultScope
from mmseg.datasets import ADE20KDataset

from mmseg_configs.datasets import ADE20KSamples, ResumableSampler, TrainingStream
from umt.data.contract import Dataset


def noisy(results: dict[str, object]) -> dict[str, object]:
    return {**results, "noise": (random.random(), float(np.random.random()))}


def test_same_files_as_mmseg_finds(rooms: Dataset) -> None:
    prefix = {"img_path": "images/training", "seg_map_path": "annotations/training"}
    with DefaultScope.overwrite_default_scope("mmseg"):
        theirs = ADE20KDataset(data_root=str(rooms.root), data_prefix=prefix)
        ours = ADE20KSamples(rooms.samples("training"))
    assert len(ours) == len(theirs) == 6
    for index in range(6):
        assert {name: ours[index][name] for name in prefix} == {name: theirs[index][name] for name in prefix}
    assert ours.metainfo == theirs.metainfo


def test_every_epoch_draws_every_image_once_in_another_order(rooms: Dataset) -> None:
    stream = TrainingStream(ADE20KSamples(rooms.samples("training")), seed=0, length=12)
    drawn = [stream[index]["img_path"] for index in range(12)]
    assert sorted(drawn[:6]) == sorted(drawn[6:]) == sorted(set(drawn))
    assert drawn[:6] != drawn[6:]


def test_a_draw_does_not_depend_on_what_was_drawn_before(rooms: Dataset) -> None:
    dataset = ADE20KSamples(rooms.samples("training"), pipeline=[noisy])
    forward = TrainingStream(dataset, seed=3, length=8)
    expected = [forward[index]["noise"] for index in range(8)]
    random.seed(99)
    np.random.seed(99)
    state = random.getstate()
    backward = TrainingStream(dataset, seed=3, length=8)
    assert [backward[index]["noise"] for index in reversed(range(8))] == expected[::-1]
    assert random.getstate() == state
    assert len(set(expected)) == 8
    assert TrainingStream(dataset, seed=4, length=8)[0]["noise"] != expected[0]


def test_the_sampler_goes_on_where_it_is_told() -> None:
    sampler = ResumableSampler(10)
    sampler.skip(7)
    assert list(sampler) == [7, 8, 9]
    assert len(sampler) == 3


def test_processes_share_out_every_batch() -> None:
    """Of a global batch of 4, two processes with 2 each take draws 0..3, then 4..7; each skips its own."""
    samplers = [ResumableSampler(12, rank, 2) for rank in range(2)]
    draws = [list(sampler) for sampler in samplers]
    for step in range(3):
        batch = sorted(draw for own in draws for draw in own[2 * step : 2 * step + 2])
        assert batch == list(range(4 * step, 4 * step + 4))
    samplers[1].skip(4)
    assert list(samplers[1]) == [9, 11]
    assert len(samplers[1]) == 2
