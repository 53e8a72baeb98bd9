"""EuroSAT (Helber et al. 2019), RGB: 27,000 satellite images, of which a fifth of each class tests as in their paper.

The authors publish no lists, so that a seed draws the fifth: the same images on every machine.
"""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, Roles
from umt.data.folder import StratifiedSplit, read_unsplit
from umt.data.layouts import gathered
from umt.data.mini.layout import WrittenLayout
from umt.data.reading import subfolders
from umt.data.sets.labelled import labelled_mini

ARCHIVE = Archive(
    "EuroSAT.zip",
    url="https://madm.dfki.de/files/sentinel/EuroSAT.zip",
    md5="c8fa014336c82ac7804f0398fcb19387",  # as torchvision has it
    files=54_000,
    gigabytes=0.2,
)
INFO = DatasetInfo(
    name="eurosat",
    title="EuroSAT",
    kind="classification",
    folder="eurosat/2750",
    splits={"train": 21_600, "test": 5400},
    roles=Roles("train", "test"),
    classes=10,
    source="extract EuroSAT.zip from https://github.com/phelber/EuroSAT into eurosat, so that it holds 2750",
    read=partial(read_unsplit, StratifiedSplit()),
    class_names=subfolders,
    ends=("AnnualCrop", "SeaLake"),
    parts=(gathered("eurosat/2750", ARCHIVE),),
    gigabytes=0.1,
    drawn=True,
    footnote="EuroSAT: a fifth of each class tests, drawn with seed 0, because it has no official split.",
    mini=labelled_mini(
        "eurosat",
        "EuroSAT",
        "H",
        WrittenLayout("{name}/{name}_{stem}.jpg"),
    ),
)
