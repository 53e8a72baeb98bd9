"""`umt cache list|prune`: list the feature cache, and make room in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Column, Table

from umt import options
from umt.console import Console, shown, warn_old_option
from umt.errors import OptionError
from umt.feature_cache.folder import StoredFeatures, remove, stored_entries, to_prune

EPILOG = """\b
Examples:
  umt cache list runs/paper/cache
  umt cache prune --older-than 30 --keep 20 runs/paper/cache
  umt cache prune --features-of 1f0c9a runs/paper/cache --dry-run
"""
FOLDER = click.argument("folder", type=click.Path(path_type=Path), envvar="UMT_CACHE", metavar="DIR")


@click.group(cls=options.CommandGroup, epilog=EPILOG)
def cache() -> None:
    """List and prune the features of frozen backbones on disk.

    DIR is OUT/cache of `umt run`, or the folder that its --cache names. Without it, UMT_CACHE names the folder.
    """


@cache.command("list", epilog=EPILOG)
@FOLDER
def list_(folder: Path) -> None:
    """Print every entry: backbone, features, images, size and last use."""
    entries = stored_entries(folder)
    _print(entries, folder)


@cache.command(epilog=EPILOG)
@FOLDER
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Remove entries that were not used for so long."
)
@click.option(
    "--keep",
    type=click.FloatRange(min=0),
    metavar="GB",
    help="Remove entries that were used longest ago, until the cache has this size.",
)
@click.option(
    "--features-of",
    metavar="HASH|SPEC",
    help="Remove the entries of a backbone, by its name or the first digits of its weights' hash.",
)
@click.option("--weights", hidden=True)
@options.DRY_RUN
def prune(
    folder: Path,
    older_than: float | None,
    keep: float | None,
    features_of: str | None,
    weights: str | None,
    dry_run: bool,
) -> None:
    """Remove entries that meet any of the conditions; an entry that a process uses stays."""
    if weights:
        warn_old_option("--weights", "take --features-of")
    backbone = features_of or weights or None
    if older_than is None and keep is None and not backbone:
        raise OptionError(
            "umt cache prune: name the features to remove by --older-than DAYS, --keep GB or --features-of HASH"
        )
    age = None if older_than is None else timedelta(days=older_than)
    size = None if keep is None else keep * 1e9
    candidates = to_prune(stored_entries(folder), datetime.now(UTC), age, size, backbone)
    removed = candidates if dry_run else [stored for stored in candidates if remove(stored)]
    _print(removed, folder)
    click.echo(f"{'would remove' if dry_run else 'removed'} {_total(removed)}")
    if len(removed) < len(candidates):
        click.echo(f"{len(candidates) - len(removed)} stay: a process is at them")


def _print(entries: list[StoredFeatures], folder: Path) -> None:
    table = Table(
        Column("backbone", overflow="fold"), "weights", "features", "images", "size", "last use", title=shown(folder)
    )
    for stored in entries:
        used = f"{stored.used:%Y-%m-%d %H:%M}"
        table.add_row(*map(shown, _described(stored.key)), f"{stored.size / 1e6:.1f} MB", used)
    table.caption = _total(entries)
    Console().print(table)


def _described(key: dict[str, Any] | None) -> tuple[str, str, str, str]:
    if key is None:
        return "unfinished or damaged", "-", "-", "-"
    extraction = key["extraction"]
    features = f"{extraction['what']} {extraction['resolution']} px {extraction['precision']}"
    return key["spec"], key["weights"][:12], features, f"{key['images']['count']:,}"


def _total(entries: list[StoredFeatures]) -> str:
    return f"{len(entries)} entries, {sum(stored.size for stored in entries) / 1e9:.3f} GB"
