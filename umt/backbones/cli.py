"""`umt backbones list|check`: the names of backbones, and a check of the contract."""

from __future__ import annotations

import sys

import click
from rich.table import Table

from umt.backbones import listing
from umt.backbones.check import Finding, check_backbone
from umt.backbones.contract import Backbone
from umt.backbones.registry import create_backbone, installed_plugins
from umt.console import Console, shown
from umt.errors import OptionError
from umt.text import printable

EPILOG = """\b
Examples:
  umt backbones list
  umt backbones list '*dinov3*'
  umt backbones check timm:resnet50
  umt backbones check 'my_backbone.py:PatchMean?width=32'
"""


@click.group(epilog=EPILOG)
def backbones() -> None:
    """List the names of backbones; check a backbone against the contract."""


@backbones.command("list", epilog=EPILOG)
@click.argument("pattern", required=False)
def list_(pattern: str | None) -> None:
    """Print schemes with their counts; or the names of a scheme (timm), or those that match PATTERN (*dinov3*)."""
    if pattern is None:
        Console().print(_schemes())
        return
    found = listing.find(pattern)
    if not found:
        raise OptionError(f"no backbone matches '{pattern}'; `umt backbones list` shows the schemes")
    click.echo("\n".join(map(printable, found)))


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
    table.add_row("FILE.pth", "UMT checkpoints", "")
    table.add_row("package.module:FACTORY, path.py:FACTORY", "plug-ins: anything that returns a Backbone", "")
    for name, point in installed_plugins().items():
        table.add_row(shown(name), shown(f"installed plug-in, {point.value}"), "1")
    return table


def _portrait(backbone: Backbone) -> Table:
    preprocess = backbone.preprocess
    rows = {
        "mean, std": f"{_numbers(preprocess.mean)}, {_numbers(preprocess.std)}",
        "size": f"{preprocess.size}, sides in multiples of {preprocess.size_multiple}",
        "resize": f"{preprocess.interpolation}, centre crop {preprocess.crop_pct:g}",
        "pooled": f"{backbone.dim} wide" + (", class token" if backbone.has_cls else ""),
        "maps": ", ".join(f"{c}/{s}" for c, s in zip(backbone.channels, backbone.strides, strict=False)),
        "parameters": f"{sum(value.numel() for value in backbone.parameters()):,}",
        "weights hash": backbone.weights_hash(),
        "weight file": str(backbone.load_report or "none read"),
    }
    table = Table(title=shown(backbone.spec), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, shown(value))
    return table


def _verdicts(findings: list[Finding]) -> Table:
    table = Table("check", "outcome")
    for finding in findings:
        table.add_row(finding.name, f"[red]{shown(finding.problem)}[/]" if finding.problem else "[green]ok[/]")
    return table


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
