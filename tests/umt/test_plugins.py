"""Entry points of installed packages: found by name, and refused in a line that names the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.tasks.registry import get_task, task_names
from umt import plugins
from umt.backbones import create_backbone
from umt.backbones.registry import installed_plugins
from umt.distill.objectives import objective_of
from umt.errors import UMTError

GROUP = "umt.tests"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes the metadata of a package, which offers something under a name."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins.refuse_claims.cache_clear()

    def write(package: str, value: str, group: str = GROUP, name: str = "thing") -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")

    yield write
    plugins.refuse_claims.cache_clear()


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
    ("group", "name", "use"),
    [
        ("umt.tasks", "knn", lambda: get_task("knn")),
        ("umt.tasks", "knn", task_names),
        ("umt.tasks", "knn", lambda: get_task("of another package")),
        ("umt.teacher_objectives", "dino", lambda: objective_of("dino")),
        ("umt.teacher_objectives", "dino", lambda: objective_of("of another package")),
        ("umt.kinds", "dino", lambda: objective_of("of another package")),
        ("umt.backbones", "timm", lambda: create_backbone("timm")),
        ("umt.backbones", "timm:test_vit", lambda: create_backbone("timm:test_vit?pretrained=false")),
        ("umt.backbones", "pypi", installed_plugins),
    ],
)
def test_a_name_of_ours_that_a_package_claims_names_both(
    install: Callable[..., None], group: str, name: str, use: Callable[[], object]
) -> None:
    """Also to who means ours: otherwise the package's would be shadowed without a word."""
    install("one", "pathlib:Path", group, name)
    with pytest.raises(UMTError) as caught:
        use()
    both = "by umt-bench itself and by one (pathlib:Path)"
    assert str(caught.value) == f"'{name}' is offered twice, {both}; uninstall that package"


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
