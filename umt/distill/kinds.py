"""Names of version 0.1, which work for one more release: see `umt.distill.objectives`."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from torch import Tensor

from umt.backbones.contract import Features
from umt.distill.objectives import Objective, image_encoding, summary_token

__all__ = ["Kind", "image_encoding", "summary_token"]


def Kind(  # noqa: N802 (it was a class)
    name: str,
    summary: Callable[[Features], Tensor],
    feature_loss: str,
    misfit: Callable[[Features], str | None] = lambda features: None,
) -> Objective:
    """Return an objective."""
    message = "umt.distill.kinds.Kind goes with the next release; take umt.distill.objectives.Objective"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return Objective(name, summary, feature_loss, misfit)
