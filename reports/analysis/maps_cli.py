"""`umt analyze pca|cosine`: maps of the tokens of a backbone on an image (figures 1a, 3 and 4 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import Progress
from rich.table import Table

from reports.analysis.maps import Seen, photograph, see, stabilities
from reports.analysis.named import Named, load_named
from reports.analysis.sheet import Line, Panel, sheet
from reports.analysis.writing import write_analysis
from umt.analysis.pca import Components
from umt.analysis.pictures import colour_basis, colours, cosine_map
from umt.console import Console, shown
from umt.training.device import pick_device

FILE = click.Path(path_type=Path, dir_okay=False)
Command = Callable[..., None]
OPTIONS = (
    click.argument("specs", nargs=-1, required=True, metavar="[LABEL=]SPEC..."),
    click.option("--image", "images", type=FILE, multiple=True, required=True, help="A photo; may be repeated."),
    click.option(
        "--resolution", "resolutions", type=click.IntRange(min=1), multiple=True, default=(512,), show_default=True,
        help="Pixels a side; may be repeated, and then stability is measured.",
    ),
    click.option(
        "--max-tokens", type=click.IntRange(min=1), default=32768, show_default=True,
        help="Tokens that attend to each other at most; above, the image goes through in overlapping tiles.",
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to."),
)  # fmt: skip
PCA_CAPTION = (
    "First three principal components of the last map as red, green and blue; one basis for {basis}. Tokens farther "
    "from the mean than 99% are pulled in before the fit; colours run from the 1st to the 99th percentile."
)
COSINE_CAPTION = "Cosine between the tokens and the one named below, from the least (dark) to the greatest (bright)."
BASES = {"joint": "all pictures of a backbone", "each": "each photo"}


def picture_options(command: Command) -> Command:
    """Add the options that both commands take."""
    return reduce(lambda decorated, option: option(decorated), reversed(OPTIONS), command)


@click.command()
@picture_options
@click.option("--basis", type=click.Choice(list(BASES)), default="joint", show_default=True, help="Over what to fit.")
def pca(
    specs: Sequence[str],
    images: Sequence[Path],
    resolutions: Sequence[int],
    max_tokens: int,
    device: str,
    out: Path,
    basis: str,
) -> None:
    """Draw the first three principal components of the tokens as colours: pca.png, pca.pdf and pca.json.

    \b
    Examples:
    umt analyze pca ckpt.pth 'ckpt.pth#dino' --image a.jpg --image b.jpg --resolution 2048 --out runs/pca
    umt analyze pca ckpt.pth --image a.jpg --resolution 512 --resolution 1024 --resolution 2048 --out runs/figure4
    """
    named, seen = _seen(specs, images, resolutions, max_tokens, device)
    pictures: dict[int, np.ndarray] = {}
    explained: dict[str, list[float]] = {}
    for name, group in _groups(seen, basis).items():
        fitted: Components = colour_basis([one.map for one in group])
        explained[name] = fitted.explained
        shown = colours([one.map for one in group], fitted)
        pictures |= {id(one): picture for one, picture in zip(group, shown, strict=True)}
    panels = [Panel(pictures[id(one)], one.note) for one in seen]
    record = {"basis": basis, "explained_variance": explained, "maps": [one.record for one in seen]}
    _finish("pca", PCA_CAPTION.format(basis=BASES[basis]), out, named, seen, panels, record)


@click.command()
@picture_options
def cosine(
    specs: Sequence[str],
    images: Sequence[Path],
    resolutions: Sequence[int],
    max_tokens: int,
    device: str,
    out: Path,
) -> None:
    """Draw the cosine between the summary token of an image and each of its patches: cosine.png, .pdf and .json.

    That token is the class token; without one the pooled feature, the model token of a student's space, if it is
    as wide as the map; else the mean of the map.

    \b
    Example:
    umt analyze cosine ckpt.pth 'ckpt.pth#dino' --image a.jpg --resolution 2048 --out runs/cosine
    """
    named, seen = _seen(specs, images, resolutions, max_tokens, device)
    values = [cosine_map(one.map) for one in seen]
    panels = [
        Panel(value, f"{one.note}\n{one.map.summary_is}, {value.min():.2f} to {value.max():.2f}")
        for one, value in zip(seen, values, strict=True)
    ]
    maps = [
        {
            **one.record,
            "token": one.map.summary_is,
            "least": float(value.min()),
            "mean": float(value.mean()),
            "greatest": float(value.max()),
        }
        for one, value in zip(seen, values, strict=True)
    ]
    _finish("cosine", COSINE_CAPTION, out, named, seen, panels, {"maps": maps})


def _seen(
    specs: Sequence[str], images: Sequence[Path], resolutions: Sequence[int], max_tokens: int, device: str
) -> tuple[list[Named], list[Seen]]:
    where = pick_device(device)
    named = load_named(specs)
    with Progress(console=Console(), transient=True) as progress:
        bar = progress.add_task("maps")
        report = lambda done, total: progress.update(bar, completed=done, total=total)  # noqa: E731
        return named, see(named, list(dict.fromkeys(images)), sorted(set(resolutions)), max_tokens, where, report)


def _groups(seen: Sequence[Seen], basis: str) -> dict[str, list[Seen]]:
    """Group the maps that share a basis, by name: spaces of two backbones never do."""
    groups: dict[str, list[Seen]] = {}
    for one in seen:
        name = one.label if basis == "joint" else f"{one.label}, {one.image}"
        groups.setdefault(name, []).append(one)
    return groups


def _finish(
    name: str,
    caption: str,
    out: Path,
    named: Sequence[Named],
    seen: Sequence[Seen],
    panels: Sequence[Panel],
    record: dict[str, Any],
) -> None:
    """Draw the sheet, write the files and print the stability of the maps."""
    stable = stabilities(seen)
    by_line: dict[tuple[Path, int], list[Panel]] = {}
    for one, panel in zip(seen, panels, strict=True):
        by_line.setdefault((one.image, one.resolution), []).append(panel)
    lines = [
        Line(f"{image.name}\n{resolution} px", [Panel(photograph(image, named[0].backbone.preprocess), ""), *row])
        for (image, resolution), row in by_line.items()
    ]
    figure = sheet(name, name, caption, ["photo", *(one.label for one in named)], lines)
    whole = {"backbones": [one.record for one in named], **record, "stability": stable, "caption": caption}
    files = write_analysis(out, name, whole, [figure])
    console = Console()
    if stable:
        console.print(_stability_table(stable))
    for file in files:
        console.print(file, soft_wrap=True, highlight=False, markup=False)


def _stability_table(stable: Sequence[dict[str, Any]]) -> Table:
    table = Table("backbone", "image", "pixels", "cosine", "centred", title="stability against resolution")
    for one in stable:
        low, high = one["resolutions"]
        numbers = (f"{one[kind]:.3f}" for kind in ("cosine", "centred_cosine"))
        table.add_row(shown(one["backbone"]), shown(one["image"]), f"{low}, {high}", *numbers)
    return table
