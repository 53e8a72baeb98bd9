"""The front door: light to import, and every name leads somewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

import umt


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_import_loads_no_library() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import umt\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))\n"
        "print(sorted(name for name in sys.modules if name.startswith('umt')))\n"
    )
    done = python(code)
    assert done.stdout.splitlines() == ["['umt']", "['umt']"], done.stderr


def test_every_name_leads_to_something_that_can_be_called() -> None:
    for name in umt.__all__:
        assert name in dir(umt)
        assert name == "__version__" or callable(getattr(umt, name)), name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'umt' has no attribute 'evalute'"):
        _ = umt.evalute  # type: ignore[attr-defined]


@pytest.mark.parametrize("first", ["umt.distill", "umt.distill.recipe", "umt"])
def test_distill_can_be_called_whatever_was_imported_before(first: str) -> None:
    code = (
        f"import umt, {first}\n"
        "from umt.errors import UMTError\n"
        "try: umt.distill('no-such-recipe')\n"
        "except UMTError as error: print(error)\n"
    )
    done = python(code)
    assert done.stdout.startswith("unknown recipe 'no-such-recipe'"), done.stderr


def test_the_version_is_read_without_importing_the_package() -> None:
    expand = pytest.importorskip("setuptools.config.expand")
    from importlib.util import find_spec

    assert expand.StaticModule("umt", find_spec("umt")).__version__ == umt.__version__
