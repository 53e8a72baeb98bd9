"""Pages of what is declared in the code: mkdocs makes them when it builds the site, so they are never out of date."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import umt
from benchmarks.results import Data, Environment, Key, Result
from benchmarks.suite.protocols import Protocol, load_protocol, protocol_names
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.registry import get_task, task_names
from umt.backbones import Backbone, Features, Preprocess
from umt.data.archives import Archive, Part
from umt.data.contract import Dataset, DatasetInfo, Roles, Sample
from umt.distill.api import distill

FRONT_DOOR = (umt.create_backbone, umt.evaluate, umt.load_results, distill)
CONTRACTS = {
    "A backbone": (Backbone, Features, Preprocess),
    "A data set": (DatasetInfo, Roles, Archive, Part, Dataset, Sample),
    "A task": (Task, Metric, Job, Outcome),
}
FIELD = re.compile(r"^    (\w+): (.+?)(?: = .+?)?(?:  # (.+))?$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those in the folder."""
    pages = {"api.md": api(), "protocol-settings.md": protocol_settings(), "result-schema.md": result_schema()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def api() -> str:
    """Describe the functions of the front door and the classes of the contracts, from their docstrings."""
    front = [_described("umt." + function.__name__, function) for function in FRONT_DOOR]
    contracts = [
        part
        for title, kinds in CONTRACTS.items()
        for part in (f"## {title}", *(text for kind in kinds for text in _class(kind)))
    ]
    return "\n\n".join(["# Interfaces", "Made from the docstrings.", "## The front door", *front, *contracts]) + "\n"


def _class(kind: type) -> list[str]:
    """Describe a class: its fields if it is a dataclass, and its public methods."""
    head = _fields(kind, "###") if is_dataclass(kind) else _described(kind.__name__, kind)
    public = [(name, value) for name, value in vars(kind).items() if not name.startswith("_")]
    methods = [
        _described(f"{kind.__name__}.{name}", value, "####") for name, value in public if inspect.isfunction(value)
    ]
    return [head, *methods]


def _described(name: str, value: Callable[..., Any], level: str = "###") -> str:
    signature = str(inspect.signature(value))
    return f"{level} {name}\n\n```python\n{name}{signature}\n```\n\n{inspect.getdoc(value)}"


def protocol_settings() -> str:
    """Every setting of every protocol that ships, as `umt protocols show` prints it."""
    protocols = [
        load_protocol(task, name, get_task(task).settings) for task in task_names() for name in protocol_names(task)
    ]
    sections = "\n\n".join(map(_section, protocols))
    about = "Made from the declarations; `umt protocols show TASK/NAME` prints the same."
    return f"# Every setting\n\n{about}\n\n{sections}\n"


def result_schema() -> str:
    """List the fields of a result file, with the comments that stand beside them in the code."""
    about = (
        "# Result file\n\nMade from `benchmarks/results.py`. `key`, `data` and `environment` are mappings of their own."
    )
    return "\n\n".join([about, *(_fields(kind, "##") for kind in (Result, Key, Data, Environment))]) + "\n"


def _section(protocol: Protocol[Any]) -> str:
    footnote = f"\n\nFootnote of every table: {protocol.footnote}" if protocol.footnote else ""
    settings = yaml.safe_dump(asdict(protocol.settings), sort_keys=False, default_flow_style=None)
    head = (
        f"## {protocol.task}/{protocol.name}\n\nVersion {protocol.version}, hash `{protocol.hash}`. {protocol.about}."
    )
    return f"{head}{footnote}\n\n```yaml\n{settings}```"


def _fields(kind: type, level: str) -> str:
    rows = [f"| `{name}` | `{hint}` | {about} |" for name, hint, about in FIELD.findall(inspect.getsource(kind))]
    return "\n".join(
        [
            f"{level} {kind.__name__}",
            "",
            str(inspect.getdoc(kind)),
            "",
            "| field | type | meaning |",
            "|---|---|---|",
            *rows,
        ]
    )
