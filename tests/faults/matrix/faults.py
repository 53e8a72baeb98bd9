"""The kinds of fault: each makes a sound file a bad one, and says afterwards that it has acted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

NOBODY = 65534
HUGE = 1 << 36  # bytes: 64 GB, nearly all of them holes, so that they take no disk
NOT_UTF8 = b"\xe9\xff"  # latin-1 text, and a byte that is in no UTF-8
JUNK = ("._{}", ".{}.swp", ".ipynb_checkpoints/{}", "Thumbs.db", "desktop.ini", "__MACOSX/._{}")

Damage = Callable[[Path], None]
Inject = Callable[[Path], AbstractContextManager[Path]]  # gives the path to read


@dataclass(frozen=True)
class Fault:
    """A kind of fault, with its variants by name."""

    name: str
    about: str  # for the page
    variants: Mapping[str, Inject]


def lasting(damage: Damage) -> Inject:
    """Make a damage that stays a context manager."""

    @contextmanager
    def inject(path: Path) -> Iterator[Path]:
        damage(path)
        yield path

    return inject


def instead(make: Damage) -> Inject:
    """Make something else in the place of the file."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return lasting(damage)


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def one_byte_less(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def beside(path: Path) -> None:
    """Leave what desktops, editors and notebooks leave beside files."""
    for name in JUNK:
        junk = path.parent / name.format(path.name)
        junk.parent.mkdir(exist_ok=True)
        junk.write_bytes(b"\x00\x05\x16\x07junk")


def latin(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + NOT_UTF8 + content[len(content) // 2 :])


@contextmanager
def renamed(path: Path) -> Iterator[Path]:
    """Give the file a name with a byte that is in no UTF-8."""
    odd = path.with_name(f"{path.stem}-{os.fsdecode(NOT_UTF8)}{path.suffix}")
    path.rename(odd)
    yield odd


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user without rights: root may read everything."""
    if os.geteuid():
        yield
        return
    group = os.getegid()
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


@contextmanager
def closed(place: Path, path: Path) -> Iterator[Path]:
    """Take all rights to a file or folder away, and see that they are gone."""
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        with nobody():
            with pytest.raises(PermissionError):
                path.open("rb")
            yield path
    finally:
        place.chmod(mode)


def fails_when_read(path: Path) -> None:
    """Open like any file and fail at the first byte, as on a broken disk: memory at address 0 is such a file."""
    path.symlink_to("/proc/self/mem")
    with path.open("rb") as file, pytest.raises(OSError, match="Input/output error"):
        file.read(1)


@contextmanager
def at_each_open(path: Path, damage: Damage) -> Iterator[Path]:
    """Damage the file just after it was opened: the size that was read no longer holds, or there is no file."""
    opened, original = 0, os.open

    def opens(file: str | bytes | os.PathLike[str], *arguments: int, **options: int | None) -> int:
        nonlocal opened
        descriptor = original(file, *arguments, **options)  # type: ignore[arg-type]
        if os.fspath(file) == str(path):
            opened += 1
            with suppress(FileNotFoundError):
                damage(path)
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opens)
        yield path
    assert opened, "the fault did not act"


FAULTS = (
    Fault("missing", "there is no file of the name", {"gone": lasting(Path.unlink)}),
    Fault("empty", "a file of no bytes", {"empty": lasting(lambda path: os.truncate(path, 0))}),
    Fault("truncated", "the first half, and all but one byte", {"half": lasting(half), "one": lasting(one_byte_less)}),
    Fault(
        "wrong type",
        "a folder, a pipe, a device, or a page of HTML in its place",
        {
            "folder": instead(Path.mkdir),
            "pipe": instead(os.mkfifo),
            "device": instead(lambda path: path.symlink_to("/dev/zero")),
            "html": lasting(lambda path: path.write_text("<html><body>404: not found</body></html>\n") and None),
        },
    ),
    Fault("hidden", "hidden files beside it: `._x`, `.ipynb_checkpoints`, `Thumbs.db`", {"junk": lasting(beside)}),
    Fault(
        "unreadable",
        "no right to the file, or to its folder; a disk that fails when it is read",
        {
            "file": lambda path: closed(path, path),
            "folder": lambda path: closed(path.parent, path),
            "disk": instead(fails_when_read),
        },
    ),
    Fault("not UTF-8", "text in another encoding", {"latin": lasting(latin)}),
    Fault("odd name", "a name with bytes that are no UTF-8", {"renamed": renamed}),
    Fault(
        "dangling",
        "a link that leads nowhere, or to itself",
        {
            "nowhere": instead(lambda path: path.symlink_to("nowhere")),
            "loop": instead(lambda path: path.symlink_to(path.name)),
        },
    ),
    Fault("huge", "64 GB", {"sparse": lasting(lambda path: os.truncate(path, HUGE))}),
    Fault("hostile", "made by somebody who means harm", {}),
    Fault(
        "changing",
        "cut in half, or removed, after it was opened",
        {"shrinks": lambda path: at_each_open(path, half), "vanishes": lambda path: at_each_open(path, Path.unlink)},
    ),
)
