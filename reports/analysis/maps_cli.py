"""`umt analyze pca|cosine`: maps of the tokens of a backbone on an image (figures 1a, 3 and 4 of the paper)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import Progress
from rich.table import Table

from reports.analysis.maps import ImageMap, photograph, stabilities, token_maps
from reports.analysis.named import NamedBackbone, load_named
from reports.analysis.sheet import SheetPanel, SheetRow, sheet
from reports.writers.files import write_files
from umt import options
from umt.analysis.pca import Components
from umt.analysis.pictures import colour_basis, colours, cosine_map
from umt.console import Console, shown
from umt.training.device import pick_device

EPILOG = """\b
Examples:
  umt analyze pca ckpt.pth 'ckpt.pth#dino' --image a.jpg --out runs/pca
  umt analyze pca ckpt.pth --image a.jpg --resolution 512 --out runs/figure4
  umt analyze pca timm:resnet50 --image a.jpg --map -2 --out runs/paper/pca
  umt analyze cosine ckpt.pth 'ckpt.pth#dino' --image a.jpg --out runs/cosine
"""
FILE = click.Path(path_type=Path, dir_okay=False)
picture_options = options.options(
    click.argument("specs", nargs=-1, required=True, metavar="[LABEL=]SPEC..."),
    click.option("--image", "images", type=FILE, multiple=True, required=True, help="A photo; may be repeated."),
    options.resolution(512, multiple=True),
    click.option(
        "--max-tokens", type=click.IntRange(min=1), default=32768, show_default=True,
        help="Tokens that attend to each other at most; above, the image goes through in overlapping tiles.",
    ),
    click.option(
        "--map", "index", type=int, default=-1, show_default=True,
        help="Map of the backbones: -1 is the last; a CNN's are finer, and simpler, towards 0.",
    ),
    options.DEVICE,
    options.out(required=True),
)  # fmt: skip
PCA_CAPTION = (
    "First three principal components of {map} as red, green and blue; one basis for {basis}. Tokens farther "
    "from the mean than 99% are pulled in before the fit; colours run from the 1st to the 99th percentile."
)
COSINE_CAPTION = (
    "Cosine between the tokens of {map} and the one named below, from the least (dark) to the greatest (bright)."
)
BASES = {"joint": "all pictures of a backbone", "each": "each photo"}


@click.command(epilog=EPILOG)
@picture_options
@click.option(
    "--basis",
    type=click.Choice(list(BASES)),
    default="joint",
    show_default=True,
    help="One basis for all pictures of a backbone, or one for each photo.",
)
def pca(
    specs: Sequence[str],
    images: Sequence[Path],
    resolutions: Sequence[int],
    max_tokens: int,
    index: int,
    device: str,
    out: Path,
    basis: str,
) -> None:
    """Draw the first three principal components of the tokens as colours: pca.png, pca.pdf and pca.json."""
    backbones, maps = _maps(specs, images, resolutions, max_tokens, index, device)
    pictures: dict[int, np.ndarray] = {}
    explained: dict[str, list[float]] = {}
    for name, group in _groups(maps, basis).items():
        fitted: Components = colour_basis([item.map for item in group])
        explained[name] = fitted.explained
        coloured = colours([item.map for item in group], fitted)
        pictures |= {id(item): picture for item, picture in zip(group, coloured, strict=True)}
    panels = [SheetPanel(pictures[id(item)], item.note) for item in maps]
    record = {"basis": basis, "map": index, "explained_variance": explained, "maps": [item.record for item in maps]}
    _finish("pca", PCA_CAPTION.format(basis=BASES[basis], map=_map_words(index)), out, backbones, maps, panels, record)


@click.command(epilog=EPILOG)
@picture_options
def cosine(
    specs: Sequence[str],
    images: Sequence[Path],
    resolutions: Sequence[int],
    max_tokens: int,
    index: int,
    device: str,
    out: Path,
) -> None:
    """Draw the cosine between the summary token of an image and each of its patches: cosine.png, .pdf and .json.

    The summary token is the class token. Without one it is the pooled feature, which is the model token of a student's
    space, if it is as wide as the map; else it is the mean of the map.
    """
    backbones, maps = _maps(specs, images, resolutions, max_tokens, index, device)
    values = [cosine_map(item.map) for item in maps]
    panels = [
        SheetPanel(value, f"{item.note}\n{item.map.summary_is}, {value.min():.2f} to {value.max():.2f}")
        for item, value in zip(maps, values, strict=True)
    ]
    records = [
        {
            **item.record,
            "token": item.map.summary_is,
            "least": float(value.min()),
            "mean": float(value.mean()),
            "greatest": float(value.max()),
        }
        for item, value in zip(maps, values, strict=True)
    ]
    _finish(
        "cosine",
        COSINE_CAPTION.format(map=_map_words(index)),
        out,
        backbones,
        maps,
        panels,
        {"map": index, "maps": records},
    )


def _maps(
    specs: Sequence[str],
    images: Sequence[Path],
    resolutions: Sequence[int],
    max_tokens: int,
    index: int,
    device: str,
) -> tuple[list[NamedBackbone], list[ImageMap]]:
    torch_device, backbones = pick_device(device), load_named(specs)
    with Progress(console=Console(), transient=True) as progress:
        bar = progress.add_task("maps")
        report = lambda done, total: progress.update(bar, completed=done, total=total)  # noqa: E731
        sizes = sorted(set(resolutions))
        return backbones, token_maps(
            backbones, list(dict.fromkeys(images)), sizes, max_tokens, index, torch_device, report
        )


def _map_words(index: int) -> str:
    return "the last map" if index == -1 else f"map {index}"


def _groups(maps: Sequence[ImageMap], basis: str) -> dict[str, list[ImageMap]]:
    """Group the maps that share a basis, by name: spaces of two backbones never do."""
    groups: dict[str, list[ImageMap]] = {}
    for item in maps:
        name = item.label if basis == "joint" else f"{item.label}, {item.image}"
        groups.setdefault(name, []).append(item)
    return groups


def _finish(
    name: str,
    caption: str,
    out: Path,
    backbones: Sequence[NamedBackbone],
    maps: Sequence[ImageMap],
    panels: Sequence[SheetPanel],
    record: dict[str, Any],
) -> None:
    """Draw the sheet, write the files and print the stability of the maps."""
    stable = stabilities(maps)
    rows: dict[tuple[Path, int], list[SheetPanel]] = {}
    for item, panel in zip(maps, panels, strict=True):
        rows.setdefault((item.image, item.resolution), []).append(panel)
    lines = [
        SheetRow(
            f"{image.name}\n{resolution} px",
            [SheetPanel(photograph(image, backbones[0].backbone.preprocess), ""), *row],
        )
        for (image, resolution), row in rows.items()
    ]
    figure = sheet(name, name, caption, ["photo", *(item.label for item in backbones)], lines)
    document = {"backbones": [item.record for item in backbones], **record, "stability": stable, "caption": caption}
    console = Console()
    if stable:
        console.print(_stability_table(stable))
    contents = {f"{name}.json": json.dumps(document, indent=1, allow_nan=False).encode(), **figure.files}
    write_files(contents, out, console)


def _stability_table(stable: Sequence[dict[str, Any]]) -> Table:
    table = Table("backbone", "image", "pixels", "cosine", "centred", title="stability against resolution")
    for item in stable:
        low, high = item["resolutions"]
        numbers = (f"{item[name]:.3f}" for name in ("cosine", "centred_cosine"))
        table.add_row(shown(item["backbone"]), shown(item["image"]), f"{low}, {high}", *numbers)
    return table
