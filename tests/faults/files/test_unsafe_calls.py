"""No code of the product reads a file from outside in a way that could run it: looked for in the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("umt", "benchmarks", "mmseg_configs", "depth", "reports")
FORBIDDEN = {  # what a call goes to, by its full name, or by the package it is in
    "builtins": ("eval", "exec", "compile"),
    "pickle": ("load", "loads", "Unpickler"),
    "_pickle": ("*",),
    "dill": ("*",),
    "cloudpickle": ("load", "loads"),
    "joblib": ("load",),
    "marshal": ("load", "loads"),
    "shelve": ("open",),
    "yaml": ("load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all", "Loader"),
    "pandas": ("read_pickle", "read_hdf"),
    "torch": ("jit.load", "hub.*", "package.*", "serialization.load", "serialization.add_safe_globals", "export.load"),
    "mmengine": (
        "load",
        "fileio.*",
        "runner.load_checkpoint",
        "runner.checkpoint.*",
        "runner.Runner",
        "runner.Runner.from_cfg",
        "Config.fromfile",
    ),
    "mmcv": ("load",),
    "timm": ("models.load_checkpoint", "models.load_state_dict"),
    "open_clip": ("load_checkpoint", "load_state_dict"),
    "numpy": ("fromregex", "lib.format.read_array"),
}
METHODS = ("extractall", "read_pickle", "load_or_resume")  # of whatever object
MUST_SAY = {"torch.load": ("weights_only", True), "numpy.load": ("allow_pickle", False)}
# The one place that runs code on purpose: a local checkout that a person has typed the name of.
TYPED = {"umt/backbones/adapters/hub_adapter.py": ["torch.hub.load"]}
# Bytes that this program has packed itself, inside of a job that it sends to another process of its own.
PACKED = {"benchmarks/suite/request.py": ["pickle.loads"]}
# The door for images, where damage gets its file's name, and that for pictures which jobs drew: limited, and PNG alone.
IMAGES = {"umt/data/images.py", "reports/figures/panels.py"}


def calls(source: str) -> list[tuple[str, ast.Call]]:
    """All calls in a module, with the full name of what is called."""
    tree = ast.parse(source)
    names = imported(tree)
    return [(full_name(node.func, names), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def unsafe_calls(source: str) -> list[str]:
    """The names of all calls in a module that may run what they read."""
    return [name for name, call in calls(source) if is_unsafe(name, call)]


def is_unsafe(name: str, call: ast.Call) -> bool:
    if name in MUST_SAY:
        option, value = MUST_SAY[name]
        said = [word.value for word in call.keywords if word.arg == option]
        return not (said and isinstance(said[0], ast.Constant) and said[0].value is value)
    package, _, rest = name.partition(".")
    inside = (
        rest == part or (part.endswith("*") and rest.startswith(part[:-1])) for part in FORBIDDEN.get(package, ())
    )
    return any(inside) or rest.rpartition(".")[2] in METHODS


def imported(tree: ast.Module) -> dict[str, str]:
    """Map each imported name to its full name, wherever in the module it is imported."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                names[item.asname or item.name.partition(".")[0]] = (
                    item.name if item.asname else item.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
    return names


def full_name(node: ast.expr, names: dict[str, str]) -> str:
    """`np.load` as `numpy.load`; a name that is not imported belongs to the builtins or to the module itself."""
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, names)}.{node.attr}"
    if isinstance(node, ast.Name):
        return names.get(node.id, f"builtins.{node.id}")
    return "an_expression"


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def test_nothing_that_is_read_can_run() -> None:
    found = {str(path.relative_to(ROOT)): unsafe_calls(path.read_text(encoding="utf-8")) for path in modules()}
    assert len(found) > 200  # the rooms are where this test looks for them
    assert {path: names for path, names in found.items() if names} == TYPED | PACKED


def test_images_have_one_door() -> None:
    """The benchmarks alone open images of their own, to compare with what a user would write."""
    opening = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if "PIL.Image.open" in [name for name, _ in calls(path.read_text(encoding="utf-8"))]
    }
    assert {path for path in opening if not path.startswith("benchmarks/perf/")} == IMAGES


@pytest.mark.parametrize(
    "source",
    [
        "import torch; torch.load(p)",
        "import torch; torch.load(p, weights_only=False)",
        "import torch; torch.load(p, weights_only=flag)",
        "from torch import load as read; read(p)",
        "import torch as t; t.jit.load(p)",
        "import pickle; pickle.loads(b)",
        "def f():\n    from pickle import Unpickler\n    Unpickler(f).load()",
        "import numpy as np; np.load(p)",
        "import numpy as np; np.load(p, allow_pickle=True)",
        "import yaml; yaml.load(t, yaml.SafeLoader)",
        "import pandas as pd; pd.read_pickle(p)",
        "import joblib; joblib.load(p)",
        "import mmengine; mmengine.load(p)",
        "from mmengine.fileio import load; load(p)",
        "from mmengine.runner import load_checkpoint; load_checkpoint(m, p)",
        "from mmengine.runner import Runner; Runner(load_from=p)",
        "from timm.models import load_state_dict; load_state_dict(p)",
        "with tarfile.open(p) as tar:\n    tar.extractall(out)",
        "eval(text)",
    ],
)
def test_a_new_unsafe_call_is_found(source: str) -> None:
    assert len(unsafe_calls(source)) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "import torch; torch.load(p, weights_only=True)",
        "import numpy as np; np.load(p, allow_pickle=False)",
        "import yaml; yaml.safe_load(t)",
        "model.eval(); json.loads(t); self.load(p)",
    ],
)
def test_what_is_safe_is_left_alone(source: str) -> None:
    assert unsafe_calls(source) == []
