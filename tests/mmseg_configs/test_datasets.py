"""The data sets read what mmseg's own read, and training draws depend on the seed and their number alone."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
from mmengine.registry import DefaultScope
from mmseg.datasets import ADE20KDataset

from mmseg_configs.datasets import DenseViews, SegmentationSamples
from umt.data.contract import Dataset
from umt.training.batches import VisitSampler


def noisy(results: dict[str, object]) -> dict[str, object]:
    return {**results, "noise": (random.random(), float(np.random.random()))}


def test_same_files_as_mmseg_finds(rooms: Dataset) -> None:
    prefix = {"img_path": "images/training", "seg_map_path": "annotations/training"}
    with DefaultScope.overwrite_default_scope("mmseg"):
        theirs = ADE20KDataset(data_root=str(rooms.root), data_prefix=prefix)
        ours = SegmentationSamples(rooms.samples("training"))
    assert len(ours) == len(theirs) == 6
    for index in range(6):
        assert {name: ours[index][name] for name in prefix} == {name: theirs[index][name] for name in prefix}
    assert ours.metainfo == theirs.metainfo


def test_views_are_drawn_by_the_number_of_the_draw(rooms: Dataset) -> None:
    """As in earlier versions, with which the numbers were measured: `[seed, draw, 1]` seeds both generators alike."""
    views = DenseViews(SegmentationSamples(rooms.samples("training"), pipeline=[noisy]), seed=3)
    for draw, key in enumerate(islice(VisitSampler(6, seed=3), 15)):
        expected = int(np.random.SeedSequence([3, draw, 1]).generate_state(1)[0])
        item = views[key]
        assert item["noise"] == (random.Random(expected).random(), np.random.RandomState(expected).random())
        assert item["img_path"] == str(rooms.samples("training")[key[0]].image)


def test_a_view_does_not_depend_on_what_was_drawn_before(rooms: Dataset) -> None:
    dataset = SegmentationSamples(rooms.samples("training"), pipeline=[noisy])
    keys = [(index, visit) for visit in range(2) for index in range(6)]
    expected = {key: DenseViews(dataset, seed=3)[key]["noise"] for key in keys}
    random.seed(99)
    np.random.seed(99)
    state = random.getstate()
    backward = DenseViews(dataset, seed=3)
    assert {key: backward[key]["noise"] for key in reversed(keys)} == expected
    assert random.getstate() == state
    assert len(set(expected.values())) == 12
    assert DenseViews(dataset, seed=4)[0, 0]["noise"] not in expected.values()
