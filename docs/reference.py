"""Pages of what is declared in the code: mkdocs makes them when it builds the site, so they are never out of date."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from benchmarks.results import Data, Environment, Key, Result
from benchmarks.suite.protocols import Protocol, load_protocol, protocol_names
from benchmarks.tasks.registry import get_task, task_names

FIELD = re.compile(r"^    (\w+): (.+?)(?: = .+?)?(?:  # (.+))?$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those in the folder."""
    for name, content in {"protocol-settings.md": protocol_settings(), "result-schema.md": result_schema()}.items():
        files.append(File.generated(config, name, content=content))
    return files


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
    return "\n\n".join([about, *(_fields(kind) for kind in (Result, Key, Data, Environment))]) + "\n"


def _section(protocol: Protocol[Any]) -> str:
    footnote = f"\n\nFootnote of every table: {protocol.footnote}" if protocol.footnote else ""
    settings = yaml.safe_dump(asdict(protocol.settings), sort_keys=False, default_flow_style=None)
    head = (
        f"## {protocol.task}/{protocol.name}\n\nVersion {protocol.version}, hash `{protocol.hash}`. {protocol.about}."
    )
    return f"{head}{footnote}\n\n```yaml\n{settings}```"


def _fields(kind: type) -> str:
    rows = [f"| `{name}` | `{hint}` | {about} |" for name, hint, about in FIELD.findall(inspect.getsource(kind))]
    return "\n".join(
        [f"## {kind.__name__}", "", str(inspect.getdoc(kind)), "", "| field | type | meaning |", "|---|---|---|", *rows]
    )
