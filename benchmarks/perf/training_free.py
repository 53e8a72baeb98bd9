"""`python -m benchmarks.perf.training_free`: the CPU time of all rows without training, on 1,000 images of each kind.

The images are embedded ones, in the layouts of CUB, Revisited Oxford, ADE20K, SPair-71k, NAVI, ScanNet's pairs and
DAVIS; the protocols are the published ones at 224 pixels. One thread, so that minutes are those of a core.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import torch

import umt
from benchmarks.results import ResultStore
from benchmarks.suite.suite import load_suite
from umt.data.mini.write import write_set

SUITE = Path(__file__).with_suffix(".yaml")
BACKBONE = "timm:vit_small_patch14_dinov2?img_size=224&dynamic_img_size=true&pretrained=false"
RESOLUTION = 224  # pixels
LIMIT = 30  # CPU minutes
THOUSAND: Mapping[str, Any] = {  # what `write_set` takes: about 1,000 images of each kind
    "cub": (50, 50),
    "roxford5k": (15, 19),
    "ade20k": (500, 500),
    "spair": (2, 2, 80),
    "navi": (3, 225),
    "scannet_pairs": (20, 4),
    "davis2017": (1, 84),
}


def write_data(folder: Path, counts: Mapping[str, Any]) -> None:
    """Write the embedded data of the suite below a folder."""
    for name in load_suite(str(SUITE)).bases:
        write_set(name, folder, counts)


def run_rows(backbone: str, data_root: Path, out: Path) -> Iterator[str]:
    """Run every job of the suite in this process; yield a line for each, and one for all with their CPU time."""
    started = cpu_seconds()
    umt.evaluate(
        backbone,
        suite=str(SUITE),
        data_root=data_root,
        resolutions=[RESOLUTION],
        out=out,
        device="cpu",
        workers=0,
    )
    spent = cpu_seconds() - started
    for result in ResultStore(out / "results"):
        yield f"{result.key.task} on {result.key.dataset}: {result.wall_seconds:.0f} s"
    yield f"{spent / 60:.1f} CPU minutes in all, at most {LIMIT}"


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@click.command()
@click.argument("backbone", default=BACKBONE)
def main(backbone: str) -> None:
    """Print the seconds of each job, and the CPU minutes of all beside the limit."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data_root = Path(folder) / "data"
        click.echo("writing the images")
        write_data(data_root, THOUSAND)
        for line in run_rows(backbone, data_root, Path(folder) / "out"):
            click.echo(line)


if __name__ == "__main__":
    main()
