"""MMSegmentation's data sets over exactly the files that `umt.data` indexed, and their order in training."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmseg.datasets import ADE20KDataset, BaseSegDataset, NYUDataset
from mmseg.registry import DATASETS
from torch.utils.data import Dataset, Sampler

from umt.data.contract import Sample


class _Samples(BaseSegDataset):
    """A list of given samples instead of a searched folder, so that the fingerprint covers the files that are read."""

    annotation_field: str

    def __init__(self, samples: Sequence[Sample], **options: Any) -> None:
        self.samples = samples
        super().__init__(serialize_data=False, **options)  # serialising collects garbage: seconds, to save megabytes

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            {"img_path": str(sample.image), self.annotation_field: str(sample.target), "seg_fields": []}
            for sample in self.samples
        ]


@DATASETS.register_module()
class ADE20KSamples(_Samples, ADE20KDataset):
    """ADE20K: classes and palette are mmseg's."""

    annotation_field = "seg_map_path"


@DATASETS.register_module()
class NYUSamples(_Samples, NYUDataset):
    """NYUv2 with depth."""

    annotation_field = "depth_map_path"


class TrainingStream(Dataset[Any]):
    """`length` draws from a data set, in a new order each epoch; draw k depends on the seed and k alone.

    So neither the number of workers nor an interruption changes the images that the model sees.
    """

    def __init__(self, dataset: BaseSegDataset, seed: int, length: int) -> None:
        self.dataset, self.seed, self.length = dataset, seed, length
        self.metainfo = dataset.metainfo

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int) -> Any:
        epoch, position = divmod(draw, len(self.dataset))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))
        with _seeded([self.seed, draw, 1]):
            return self.dataset[int(order[position])]


class ResumableSampler(Sampler[int]):
    """0, 1, 2, ... up to `length`, by turns between processes; each skips its finished draws after an interruption."""

    def __init__(self, length: int, rank: int = 0, world: int = 1) -> None:
        self.draws = range(rank, length, world)
        self.start = 0

    def __iter__(self) -> Iterator[int]:
        return iter(self.draws[self.start :])

    def __len__(self) -> int:
        return len(self.draws) - self.start

    def skip(self, count: int) -> None:
        self.start += count


@contextmanager
def _seeded(entropy: list[int]) -> Iterator[None]:
    """Seed Python's and NumPy's generators, which mmseg's transforms draw from, and restore them afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
