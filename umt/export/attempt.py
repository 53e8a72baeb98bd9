"""The frame for calling another library's exporter: silence, no gradients, and errors of one line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from umt.backbones.weights import first_line
from umt.errors import BackboneError, UMTError


@contextmanager
def attempt(spec: str, library: str) -> Iterator[None]:
    """Silence warnings, for the result is measured; raise UMTError for errors of the library, not of the disk."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    except (OSError, UMTError):
        raise
    except Exception as error:  # exporters and runtimes have many kinds of their own
        raise BackboneError(
            f"{spec}: cannot be exported to {library} ({first_line(error.__cause__ or error)})"
        ) from error
    finally:
        logging.disable(disabled)
