"""The scope in which mmseg's parts are built from their configurations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed


@contextmanager
def mmseg_scope(seed: int) -> Iterator[None]:
    """Resolve names without a prefix as mmseg's, and make random weights depend on the seed alone."""
    set_random_seed(seed)
    with DefaultScope.overwrite_default_scope("mmseg"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="mmseg")  # about defaults that we mean
        yield
