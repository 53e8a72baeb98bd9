"""Entry points of installed packages: found by name, and refused in a line that names the package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from umt import plugins
from umt.errors import UMTError

GROUP = "umt.tests"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Writes the metadata of a package, which offers something under the name `thing`."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(package: str, value: str) -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\nthing = {value}\n")

    return write


def test_what_a_package_offers_is_found_by_name(install: Callable[[str, str], None]) -> None:
    assert plugins.installed(GROUP) == {}
    install("one", "pathlib:Path")
    assert plugins.load(plugins.installed(GROUP)["thing"], type) is Path


def test_a_name_that_two_packages_claim_names_both(install: Callable[[str, str], None]) -> None:
    install("one", "pathlib:Path")
    install("two", "pathlib:PurePath")
    with pytest.raises(UMTError, match=r"'thing' is offered twice, by (one|two) .* and by (one|two) .*; uninstall one"):
        plugins.installed(GROUP)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a_module_that_is_not_there:X", "of one .* cannot be imported .*a_module_that_is_not_there"),
        ("pathlib:Absent", "cannot be imported .*Absent"),
        ("pathlib:Path", r"'thing' of one \(pathlib:Path\) is a type; it must be a builtins.dict"),
    ],
)
def test_what_cannot_be_used_names_its_package(install: Callable[[str, str], None], value: str, message: str) -> None:
    install("one", value)
    with pytest.raises(UMTError, match=message):
        plugins.load(plugins.installed(GROUP)["thing"], dict)
