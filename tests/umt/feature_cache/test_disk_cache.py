"""The mechanism that both disk caches share: keys as they are stored, checksums in blocks, locks and room."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock, Timeout

from umt.errors import WriteError
from umt.feature_cache.disk_cache import checksum, digest, locked, plain_key, shortage


def test_a_key_equals_its_stored_form_and_its_digest_knows_every_value() -> None:
    key = plain_key({"scale": (0.2, 1.0), "size": 224})
    assert key == json.loads(json.dumps(key))
    assert digest(key, 16) == digest({"size": 224, "scale": [0.2, 1.0]}, 16) == digest(key, 32)[:16]
    assert digest(key, 16) != digest({**key, "size": 225}, 16)


def test_a_checksum_is_that_of_all_blocks_together() -> None:
    assert checksum([b"abc", memoryview(b"de"), b""]) == zlib.crc32(b"abcde")
    assert checksum([]) == 0


def test_a_lock_keeps_others_out_and_is_given_back(tmp_path: Path) -> None:
    lock = tmp_path / "new" / "folder" / ".lock"
    with locked(lock, "--cache"):
        with pytest.raises(Timeout):
            FileLock(lock, timeout=0).acquire()
        with pytest.raises(Timeout), locked(lock, "--cache", timeout=0):
            pass
    with pytest.raises(ZeroDivisionError), locked(lock, "--cache"):
        _ = 1 / 0
    with locked(lock, "--cache", timeout=0):
        pass


def test_a_folder_that_cannot_be_made_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = r"file: nothing can be cached there \(.+\); name another --out"
    with pytest.raises(WriteError, match=said), locked(tmp_path / "file" / ".lock", "--out"):
        pass


def test_a_shortage_tells_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=int(3e9)))
    assert shortage(tmp_path / "not" / "there", int(3e9)) is None
    assert shortage(tmp_path / "not" / "there", int(3.5e9)) == "takes 3.50 GB and 3.00 GB are free"
