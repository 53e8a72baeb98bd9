"""Tar files from anywhere: read with limits, and without sparse files."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import NoReturn

from umt.errors import first_line

MAX_TAR_HEADER_BYTES = 1 << 20  # of extended headers before the first member; one holds a path and some attributes
MEAN_TAR_HEADER_BYTES = 1 << 13  # bytes more for each member after it
TAR_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, *tarfile.GNU_TYPES[:2])


class PlainTar(tarfile.TarFile):
    """A tar from anywhere: tarfile reads only a limited part of it before anyone sees a member."""

    members: list[tarfile.TarInfo]
    members_seen = 0
    header_bytes = 0  # in extended headers so far

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Yield each member once, and keep none: a tar may have millions, each with all extended headers."""
        while (member := self.next()) is not None:
            self.members.clear()
            self.pax_headers = {}
            self.members_seen += 1
            yield member

    def next(self) -> tarfile.TarInfo | None:
        """Return the next member, None at the end; TarError for headers that tarfile cannot read."""
        try:
            return super().next()
        except (ValueError, OverflowError, RecursionError) as error:  # numbers that are none, headers of headers
            raise tarfile.TarError(f"a header is damaged: {first_line(error)}") from error

    def count_header(self, size: int) -> None:
        """Count an extended header before it is read; TarError if they are too large for the members so far."""
        self.header_bytes += tarfile.BLOCKSIZE + size
        limit = MAX_TAR_HEADER_BYTES + MEAN_TAR_HEADER_BYTES * self.members_seen
        if size < 0 or self.header_bytes > limit:
            raise tarfile.TarError(
                f"an extended header of {size:,} bytes, at most {limit:,} in all are expected so far"
            )


class PlainMember(tarfile.TarInfo):
    """A member whose extended headers are counted before tarfile reads them into memory."""

    def _proc_member(self, tar: PlainTar) -> tarfile.TarInfo:
        if self.type in TAR_HEADERS:
            tar.count_header(self.size)
        if self.type == tarfile.GNUTYPE_SPARSE:
            self._refuse_sparse()
        members: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return members

    def _refuse_sparse(self, *_: object) -> NoReturn:
        raise tarfile.TarError("a file is sparse; none of an official archive is")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def tar_kind(member: tarfile.TarInfo) -> str:
    """Return the kind of a member that is neither file nor folder, else an empty text."""
    if member.issym():
        return "a symbolic link"
    if member.islnk():
        return "a hard link"
    if member.size < 0:  # the next header would be a header that has been read
        return "of a negative size"
    return "" if member.isreg() or member.isdir() else "a device or pipe"
