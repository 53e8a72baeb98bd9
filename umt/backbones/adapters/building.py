"""The frame for building a model of another library: silent, one line for an error, no foreign code, no long waits."""

from __future__ import annotations

import logging
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from queue import Empty, Queue
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants

from umt.backbones.trust import NETWORK, UNPICKLING, refusing
from umt.errors import BackboneError, TrustError, UMTError, WeightsError, first_line

CONNECT_SECONDS = 3.0  # for a hub to accept a connection; its libraries try for most of a minute
HTTPS = 443
FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch looks at it in every load


@contextmanager
def building(
    name: str, options: Mapping[str, Any], *, hub: str | None = None, remedy: str | None = None
) -> Iterator[None]:
    """Build without log lines of a hub's retries and without full unpickling; raise UMTError for any failure.

    hub: the address that weights would be fetched from. If nobody answers there, only what was fetched before is used.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    online = hub is None or constants.HF_HUB_OFFLINE or answers(hub)
    try:
        with refusing(UNPICKLING), _weights_only(), nullcontext() if online else _offline():
            yield
    except Exception as error:  # an architecture may fail on its options in any way, a hub on its network
        if online and isinstance(error, UMTError):
            raise
        if isinstance(error, (OSError, TrustError)) or isinstance(error.__context__, OSError):
            reason = first_line(error) if online else f"{urlsplit(str(hub)).hostname} cannot be reached"
            raise WeightsError(
                f"{name}: pretrained weights could not be fetched ({reason}); "
                + (remedy or f"pass them as {name}?weights=FILE, or take random ones with {name}?pretrained=false")
            ) from error
        raise BackboneError(f"{name}: {first_line(error)} (with options {dict(options)})") from error
    finally:
        logging.disable(disabled)


def answers(hub: str) -> bool:
    """Return whether the host of an address, or the proxy to it, accepts a connection within a few seconds."""
    answer: Queue[bool] = Queue()
    threading.Thread(target=_connect, args=(hub, answer), daemon=True).start()  # a look-up of its name has no limit
    try:
        return answer.get(timeout=CONNECT_SECONDS)
    except Empty:
        return False


def _connect(hub: str, answer: Queue[bool]) -> None:
    address = urlsplit(hub)
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy and not urllib.request.proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy)
    try:
        socket.create_connection((address.hostname, address.port or HTTPS), timeout=CONNECT_SECONDS).close()
        answer.put(True)
    except OSError:
        answer.put(False)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Let torch read tensors and plain values alone, also where a library asks for everything, as torchvision does."""
    before = os.environ.get(FORCE_WEIGHTS_ONLY)
    os.environ[FORCE_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        os.environ.pop(FORCE_WEIGHTS_ONLY)
        if before is not None:
            os.environ[FORCE_WEIGHTS_ONLY] = before


@contextmanager
def _offline() -> Iterator[None]:
    """Let libraries use what they have fetched before, and connect to nobody."""
    was_offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        with refusing(NETWORK):
            yield
    finally:
        constants.HF_HUB_OFFLINE = was_offline
