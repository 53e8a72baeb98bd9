"""`umt analyze cka|pca|cosine`."""

from __future__ import annotations

from typing import Any

import click

from reports.analysis.cka import compare_features
from reports.analysis.maps_cli import cosine, pca
from umt import options
from umt.console import warn_old_option

EPILOG = """\b
Examples:
  umt analyze cka ckpt.pth --teachers --images photos --out runs/cka
  umt analyze cka ckpt.pth timm:resnet50 --dataset imagenet --out runs/cka
"""


@click.group(cls=options.CommandGroup)
def analyze() -> None:
    """Compare the features of backbones (cka), and show an image through their tokens (pca, cosine)."""


@analyze.command(epilog=EPILOG, short_help="Compare the features of backbones by linear CKA.")
@click.argument("specs", nargs=-1, required=True, metavar="[LABEL=]SPEC...")
@click.option("--teachers", is_flag=True, help="Compare the checkpoint SPEC with its teachers.")
@options.WEIGHTS
@options.IMAGES
@options.dataset()
@click.option("--data", "old_dataset", hidden=True)
@options.data_root()
@click.option("--limit", type=click.IntRange(min=1), help="Images to take at most, evenly spaced.")
@click.option("--every-pair", is_flag=True, help="Compare all pairs, not only those with the first backbone.")
@options.resolution(224)
@click.option(
    "--crop-pct",
    type=click.FloatRange(0.1, 1),
    default=0.875,
    show_default=True,
    help="Share of the shorter side that the centre crop keeps.",
)
@click.option(
    "--maps",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="Maps of each backbone to compare at most, evenly spaced.",
)
@options.batch_size(32)
@options.DEVICE
@options.results()
@options.out(required=True)
def cka(specs: tuple[str, ...], old_dataset: str | None, **values: Any) -> None:
    """Compute linear CKA (Kornblith et al. 2019) of the first backbone with the others, pooled and layer by layer.

    It computes the biased and the unbiased estimate in one pass; tables show the unbiased one, which is 0 for unrelated
    features. All backbones see the same crop, and patches are compared on the coarser of two grids. Of a data set it
    takes the split that numbers are reported on. OUT gets cka.json and the heat maps; --results gets a result of each
    pair, for table 6 of the paper.
    """
    if old_dataset:
        warn_old_option("--data", "take --dataset")
    compare_features(specs, **values | {"dataset": values["dataset"] or old_dataset})


for command in (pca, cosine):
    analyze.add_command(command)
