"""Locks between processes, where the file system has any."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # NFS and Lustre without a lock service
log = logging.getLogger(__name__)


@contextmanager
def lock(path: Path, timeout: float = -1) -> Iterator[bool]:
    """Hold a lock; yield False, after a line in the log, if its file system has no locks.

    Raises filelock.Timeout if another process holds it for longer, and OSError if its file cannot be made.
    """
    file_lock = FileLock(path, timeout=timeout)
    is_locked = _acquired(file_lock)
    try:
        yield is_locked
    finally:
        if is_locked:
            file_lock.release()


def _acquired(file_lock: FileLock) -> bool:
    try:
        file_lock.acquire()
        return True
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:  # the latter is filelock's for ENOSYS
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        log.warning("%s: this file system has no locks; start one run at a time there", file_lock.lock_file)
        return False
