"""Layouts of checkpoints as data: how a public code names its tensors, and what it expects of images and features."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from umt.declarations import build, read_mapping

FOLDER = Path(__file__).with_name("layouts")


@dataclass(frozen=True)
class Merge:
    """Several tensors that are one in the model, in this order along the first axis: `{}` is what they share."""

    into: str
    of: tuple[str, ...]
    zero: tuple[str, ...] = ()  # those that may be missing, and are zeros then


@dataclass(frozen=True)
class Split:
    """A tensor that is several in the model, with their shares of its first axis."""

    of: str
    into: tuple[str, ...]
    shares: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """A public layout of checkpoints; every field but the first three has the meaning of 'nothing special'."""

    name: str
    source: str  # the public code whose names these are
    anchor: str  # a tensor that every such file has; what stands before it is the prefix of the backbone
    has: tuple[str, ...] = ()  # patterns that a name must match each, without the prefix
    lacks: tuple[str, ...] = ()  # patterns that no name may match
    prefix: str = ".*"  # pattern of the prefix, the containers included
    beside: tuple[str, ...] = ()  # patterns that a name outside of the backbone must match each
    sure: bool = False  # true if a file of this layout is taken whole, whatever else its parts look like
    within: str = ""  # pattern that the names of the file's containers must contain
    args: tuple[str, ...] = ()  # arguments that the training saves beside the weights
    generic: bool = False  # true for names that many trainings share: what the file states of itself comes first
    rename: tuple[tuple[str, str], ...] = ()
    join: tuple[Merge, ...] = ()
    split: tuple[Split, ...] = ()
    jax: bool = False  # true for tensors as JAX has them: kernels with inputs first, heads on an axis of their own
    transpose: str = ""  # pattern of matrices that the model has the other way round
    tokens: str = ""  # a tensor [tokens, width] of the class token and what the model calls registers
    flat_patches: bool = False  # the patch embedding is a matrix, and has no bias if the file has none
    still: bool = False  # the patches are of clips, of which an image is one whose frames are equal
    unfolded: str = ""  # pattern of tensors over 2 x 2 cells in the order of torch's unfold
    zero: Mapping[str, str] = field(default_factory=dict)  # bias that the file may lack -> weight that it belongs to
    fold_cls_position: bool = False  # the first position belongs to the class token, for a model that adds none to it
    left: Mapping[str, str] = field(default_factory=dict)  # kind of tensor -> pattern of names that the model leaves
    left_if_zero: str = ""  # pattern of biases that a model may lack if they are zeros
    absent: Mapping[str, str] = field(default_factory=dict)  # reason -> pattern of names that the file need not have
    refused: str = ""  # why such files cannot be read, and what to do
    library: str = "timm"  # the library that has the architecture
    family: str = "vit"  # the function that infers an architecture
    models: Mapping[int, str] = field(default_factory=dict)  # timm's name by width; 0 for any other width
    candidates: tuple[str, ...] = ()  # timm's names to compare with, for the family 'named'
    options: Mapping[str, Any] = field(default_factory=dict)
    heads: Mapping[int, int] = field(default_factory=dict)  # by width, where they are not width / 64
    sure_heads: bool = True  # the code has these heads, or 64 wide ones, in every model
    states: tuple[str, ...] = ()  # options of the architecture that a configuration beside the file decides
    asks: tuple[str, ...] = ()  # those that are asked for if nothing decides them
    preprocess: Mapping[str, Any] | None = None  # None: no such file says how its images are normalised
    pooling: str = ""  # the global feature of its authors: cls, mean, or the model's own


@dataclass(frozen=True)
class Conventions:
    """Habits of all trainings: which of several copies of a model is meant, and what else lies beside it."""

    branches: tuple[Branch, ...]
    left: Mapping[str, str]


@dataclass(frozen=True)
class Branch:
    """A copy of the model in a file, by its containers and prefix; a lower rank is taken first."""

    pattern: str
    rank: int
    role: str  # ema, last or other
    about: str


@cache
def layouts() -> Sequence[Layout]:
    """Return all layouts, those that are special cases of another before it."""
    files = sorted(FOLDER.glob("[0-9]*.yaml"))
    return [build(Layout, record, path) for path in files for record in read_mapping(path)["layouts"]]


@cache
def names() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Return timm's names of common architectures with their options, by family."""
    return read_mapping(FOLDER / "names.yaml")


@cache
def conventions() -> Conventions:
    path = FOLDER / "conventions.yaml"
    return build(Conventions, read_mapping(path), path)


def kind_of(name: str, kinds: Mapping[str, str]) -> str | None:
    """Return the first kind whose pattern a name matches from its beginning."""
    return next((kind for kind, pattern in kinds.items() if re.match(pattern, name)), None)
