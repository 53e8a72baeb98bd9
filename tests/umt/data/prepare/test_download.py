"""Downloads from a server of our own: resumed, checked, and never half believed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.progress import Progress

from umt.data.archives import Archive
from umt.data.prepare.download import download
from umt.errors import UMTError

CONTENT = bytes(range(256)) * 20_000
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """A file behind an address; what was asked for, and how the server behaves."""

    url: str = ""
    asked: list[str | None] = field(default_factory=list)
    ranges: bool = True
    cut: int | None = None  # bytes after which the connection ends
    missing: bool = False

    def archive(self, md5: str = MD5) -> Archive:
        return Archive("set.zip", url=f"{self.url}/set.zip", md5=md5)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if state.missing or start >= len(CONTENT):
                self.send_error(404 if state.missing else 416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            self.wfile.write(CONTENT[start : state.cut])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        http.shutdown()


def test_whole_and_only_once(tmp_path: Path, server: Server, progress: Progress) -> None:
    for _ in range(2):
        assert download(server.archive(), tmp_path / "new", progress).read_bytes() == CONTENT
    assert server.asked == [None]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set.zip"]


@pytest.mark.parametrize("ranges", [True, False])
def test_it_goes_on_where_it_stopped(tmp_path: Path, server: Server, progress: Progress, ranges: bool) -> None:
    server.cut, server.ranges = 3_000_000, ranges
    with pytest.raises(UMTError, match=r"download stopped .*; repeat the command to go on, or give --from"):
        download(server.archive(), tmp_path, progress)
    assert not (tmp_path / "set.zip").exists()
    have = (tmp_path / "set.zip.part").stat().st_size
    server.cut = None
    assert download(server.archive(), tmp_path, progress).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]
    assert have > 0


def test_whole_but_not_yet_checked(tmp_path: Path, server: Server, progress: Progress) -> None:
    (tmp_path / "set.zip.part").write_bytes(CONTENT)
    assert download(server.archive(), tmp_path, progress).read_bytes() == CONTENT


def test_another_checksum_is_refused_and_gone(tmp_path: Path, server: Server, progress: Progress) -> None:
    with pytest.raises(UMTError, match=rf"set\.zip: MD5 is {MD5}, expected 0+; repeat"):
        download(server.archive(md5="0" * 32), tmp_path, progress)
    assert not [*tmp_path.iterdir()]


def test_what_is_not_there_is_named(tmp_path: Path, server: Server, progress: Progress) -> None:
    server.missing = True
    with pytest.raises(UMTError, match=r"set\.zip: download stopped \(.*404"):
        download(server.archive(), tmp_path, progress)


def test_no_network_is_named(tmp_path: Path, progress: Progress) -> None:
    with pytest.raises(UMTError, match=r"http://127\.0\.0\.1:9/x: download stopped \(.*\)"):
        download(Archive("x", url="http://127.0.0.1:9/x", md5=MD5), tmp_path, progress)


@pytest.mark.parametrize("kind", ["link", "link to nothing", "whole link", "pipe", "device"])
def test_nothing_is_written_through_a_link(tmp_path: Path, server: Server, progress: Progress, kind: str) -> None:
    """Neither resumed, nor anew, nor taken for the whole file."""
    target, part = tmp_path / "precious", tmp_path / "new" / "set.zip.part"
    part.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(part)
    else:
        part.symlink_to("/dev/null" if kind == "device" else target)
    before = {"link": b"precious", "whole link": CONTENT}.get(kind)
    if before is not None:
        target.write_bytes(before)
    with pytest.raises(UMTError, match=r"set\.zip\.part: is a (link|pipe), .*; remove it and repeat the command"):
        download(server.archive(), part.parent, progress)
    assert (target.read_bytes() if target.exists() else None) == before
    assert server.asked == []
    part.unlink()
    assert download(server.archive(), part.parent, progress).read_bytes() == CONTENT
