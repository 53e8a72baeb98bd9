"""A recognised checkpoint, with the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from umt.backbones.contract import Preprocess
from umt.backbones.recognition.fitting import WeightFit
from umt.backbones.recognition.layout import Layout


@dataclass(frozen=True)
class TensorSource:
    """The place of a backbone's tensors in a file, and the way from their names to the model's."""

    where: tuple[str, ...]  # containers around them
    prefix: str
    layout: Layout
    by_timm: bool = False  # true if timm's own converter turns them, and not the layout


@dataclass(frozen=True)
class RecognisedCheckpoint:
    """A checkpoint that is understood: its layout, architecture, preprocessing and pooling, and why they are believed.

    state: the backbone's tensors under the names of the architecture. open_questions: what no file can tell, each with
    the text to add to the name.
    """

    path: Path
    layout: str
    source: str
    architecture: str
    options: Mapping[str, Any]
    preprocess: Preprocess
    pooling: str
    tensors: TensorSource
    fit: WeightFit
    part: str  # the containers and the prefix of the backbone
    beside: Mapping[str, list[str]]  # kind -> tensors of the file outside the backbone
    evidence: Mapping[str, str] = field(default_factory=dict)
    open_questions: tuple[str, ...] = ()

    @property
    def state(self) -> Mapping[str, Tensor]:
        return self.fit.state

    def with_state(self, state: Mapping[str, Tensor]) -> RecognisedCheckpoint:
        """Return the same checkpoint with other tensors: with none, it is a record in plain values."""
        return replace(self, fit=replace(self.fit, state=state))
