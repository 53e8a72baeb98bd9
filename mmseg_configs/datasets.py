"""MMSegmentation's data sets over exactly the files that `umt.data` indexed, and their views in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmseg.datasets import ADE20KDataset, BaseSegDataset, NYUDataset
from mmseg.registry import DATASETS

from umt.data.contract import Sample
from umt.data.sets.ade20k import CLASSES as ADE20K_CLASSES
from umt.training.batches import SeededViews, order_of


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
class SegmentationSamples(_Samples):
    """Images with labels of named classes, in the colours of mmseg's ADE20K."""

    annotation_field = "seg_map_path"

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str] = ADE20K_CLASSES, **options: Any) -> None:
        colours = ADE20KDataset.METAINFO["palette"]
        palette = [colours[index % len(colours)] for index in range(len(classes))]
        super().__init__(
            samples, metainfo={"classes": tuple(classes), "palette": palette}, reduce_zero_label=True, **options
        )


@DATASETS.register_module()
class NYUSamples(_Samples, NYUDataset):
    """NYUv2 with depth."""

    annotation_field = "depth_map_path"


class DenseViews(SeededViews):
    """Views whose generators are seeded by the number of the draw, and alike.

    So the numbers of earlier versions were measured, and other draws would change them.
    """

    def seeds(self, index: int, visit: int) -> tuple[int, int, int]:
        """Return the seeds of Python's, NumPy's and torch's generators for a view."""
        position = int(np.flatnonzero(order_of(self.seed, visit, len(self)) == index)[0])
        entropy = (self.seed, visit * len(self) + position, 1)
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        return seed, seed, seed
