"""`umt analyze cka|pca|cosine`."""

from __future__ import annotations

import click

from reports.analysis.cka_cli import cka
from reports.analysis.maps_cli import cosine, pca


@click.group()
def analyze() -> None:
    """Compare the features of backbones (cka), and show an image through their tokens (pca, cosine)."""


for command in (cka, pca, cosine):
    analyze.add_command(command)
