"""Downloads of official files: resumed after an interruption, and accepted only with the right checksum."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.progress import Progress

from umt.data.archives import Archive
from umt.errors import SourceError
from umt.files import open_plain

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60  # seconds without a byte


def download(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Return the official file in `folder`, downloaded if it is not there yet; UMTError tells how to get it by hand.

    The bytes so far are kept under `NAME.part`, so that the same command goes on after the network failed; a link of
    that name is refused, since its target would be overwritten.
    """
    path, part = folder / archive.name, folder / f"{archive.name}.part"
    if path.is_file():
        return path
    if not archive.url:
        raise SourceError(
            f"{archive.name}: cannot be downloaded by itself; {archive.get}, and give its path with --from"
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        have = size_so_far(part)
    except OSError as error:
        raise SourceError(f"{part}: {error.strerror}; remove it and repeat the command") from error
    try:
        fetch(archive.url, part, have, progress)
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(
            f"{archive.url}: download stopped ({error}); repeat the command to go on, or give --from"
        ) from error
    check_md5(part, archive, progress)
    return part.rename(path)


def size_so_far(part: Path) -> int:
    """Return the bytes that have come, 0 for none; OSError if the path is no plain file."""
    with suppress(FileNotFoundError), open_plain(part) as file:
        return os.fstat(file.fileno()).st_size
    return 0


def fetch(url: str, part: Path, have: int, progress: Progress) -> None:
    """Append the missing bytes of the file at `url` to `part`, which already has so many bytes."""
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            receive(response, part, have, progress)
    except HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # or nothing is missing
            raise


def receive(response: HTTPResponse, part: Path, have: int, progress: Progress) -> None:
    """Write a response behind the bytes that are there, or from the start if the server knows no ranges."""
    resumed = response.status == HTTPStatus.PARTIAL_CONTENT
    total_bytes = expected(response, have if resumed else 0)
    task = progress.add_task(f"download {part.stem}", total=total_bytes)
    with open_plain(part, "ab" if resumed else "wb") as out:
        while chunk := response.read(CHUNK_BYTES):
            out.write(chunk)
            progress.update(task, completed=out.tell())
        size = out.tell()
    progress.remove_task(task)
    if total_bytes is not None and size < total_bytes:
        raise OSError(f"{size:,} of {total_bytes:,} bytes arrived")


def expected(response: HTTPResponse, have: int) -> int | None:
    """Return the size of the whole file in bytes, None if the server does not tell it."""
    length = response.headers.get("Content-Length")
    return have + int(length) if length else None


def check_md5(part: Path, archive: Archive, progress: Progress) -> None:
    """Remove the file and raise UMTError if its checksum is another than the official one."""
    digest = hashlib.md5(usedforsecurity=False)
    with (
        open_plain(part) as file,
        progress.wrap_file(cast(BinaryIO, file), part.stat().st_size, description=f"check {part.stem}") as read,
    ):
        while chunk := read.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != archive.md5:
        part.unlink()
        raise SourceError(f"{archive.url}: MD5 is {digest.hexdigest()}, expected {archive.md5}; repeat the command")
