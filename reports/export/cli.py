"""`umt export`: a student for other libraries, with its model card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from reports.export.card import model_card, results_of
from reports.results.measurement import Measurement
from reports.results.store import read_measurements
from umt import options
from umt.backbones import Backbone, create_backbone
from umt.backbones.checkpoint import plain_name
from umt.backbones.spec import Spec, parse_spec
from umt.console import Console
from umt.errors import MissingFileError, ResultError
from umt.export.agreement import Exported
from umt.export.folder import export_folder
from umt.export.targets import TARGETS
from umt.files import component
from umt.text import printable

CARD = "README.md"
EPILOG = """\b
Examples:
  umt export runs/mine/student.pth --to timm
  umt export runs/mine/student.pth --to onnx --head
  umt export 'runs/mine/student.pth#dino' --to onnx --out exported/dino
  umt export runs/mine/student.pth --to hub --results runs/mini/results
"""


@click.command(epilog=EPILOG)
@click.argument("checkpoint", metavar="CKPT[#SPACE]")
@click.option("--to", "target", type=click.Choice(list(TARGETS)), required=True, help="Format to write.")
@click.option(
    "--head", "with_heads", is_flag=True, help="Write the student through the heads that its file names; ONNX only."
)
@options.out("export/TO[-SPACE], beside CKPT")
@options.results()
def export(checkpoint: str, target: str, with_heads: bool, out: Path | None, results: Path | None) -> None:
    """Write a student, or one of its spaces, for timm, ONNX or the Hugging Face hub, with a model card.

    CKPT is written as the plain student, without heads, or with --head as `umt run CKPT` evaluates it.

    The files are loaded and compared with the checkpoint before they take their place: an export that differs is
    not left behind. The model card shows the numbers of --results.
    """
    spec = _checkpoint(checkpoint)
    name = checkpoint if with_heads else plain_name(checkpoint)
    if name != checkpoint:
        click.echo("the plain student, without heads; --head writes it with those that its file names")
    backbone = create_backbone(name)
    measurements = _measurements(results, backbone) if results else []
    heads = spec.head or ("head" if with_heads else None)
    out = out or Path(spec.name).parent / "export" / component("-".join([target, *([heads] if heads else [])]))
    about: dict[str, Any] = {"to": target, "space": heads, "weights_hash": backbone.weights_hash()}
    with export_folder(out, about) as folder:
        exported = TARGETS[target].write(backbone, folder)
        about["differences"] = [asdict(agreement) for agreement in exported.agreements]
        card = model_card(backbone, TARGETS[target], exported, results_of(measurements))
        (folder / CARD).write_text(card, encoding="utf-8")
    _print_checks(out, exported)
    if TARGETS[target].hub:
        click.echo(printable(f"upload it with: hf upload OWNER/NAME {out}"))


def _checkpoint(text: str) -> Spec:
    spec = parse_spec(text)
    if spec.is_file or spec.scheme == "umt":
        return spec
    raise MissingFileError(
        f"{text}: no checkpoint file; name one that `umt distill` wrote, e.g. student.pth or student.pth#dino"
    )


def _measurements(store: Path, backbone: Backbone) -> list[Measurement]:
    """Return the results of exactly these weights."""
    weights = backbone.weights_hash()
    measurements = [item for item in read_measurements(store) if item.key.weights_hash == weights]
    if not measurements:
        raise ResultError(
            f"{store}: no result is of the weights {weights[:12]} of {backbone.spec}; "
            "evaluate them with `umt run`, or leave out --results"
        )
    return measurements


def _print_checks(out: Path, exported: Exported) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for agreement in exported.agreements:
        console.print(f"largest relative difference, images {agreement}")
    if exported.limit:
        console.print(f"limit: {exported.limit}")
    console.print(f"wrote {out}")
