"""The frame for building a model of another library: silence, errors of one line, and no code out of files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from umt.backbones.trust import UNPICKLING, refusing
from umt.errors import BackboneError, UMTError, WeightsError, first_line


@contextmanager
def building(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Build without log lines of a hub's retries and without full unpickling; raise UMTError for any failure."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with refusing(UNPICKLING):
            yield
    except UMTError:
        raise
    except Exception as error:  # an architecture may fail on its options in any way, a hub on its network
        if isinstance(error, OSError) or isinstance(error.__context__, OSError):
            raise WeightsError(
                f"{name}: pretrained weights could not be fetched ({first_line(error)}); "
                f"pass them as {name}?weights=FILE, or take random ones with {name}?pretrained=false"
            ) from error
        raise BackboneError(f"{name} with options {dict(options)}: {first_line(error)}") from error
    finally:
        logging.disable(disabled)
