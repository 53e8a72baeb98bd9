"""iNaturalist 2021 (Van Horn et al. 2021): 10,000 species, with the validation images as the reported ones."""

from __future__ import annotations

from functools import partial

from umt.data.archives import Archive, Part
from umt.data.contract import DatasetInfo, Roles
from umt.data.folder import read_split, subfolders_of
from umt.data.mini.layout import WrittenLayout
from umt.data.prepare.folders import whole_archive
from umt.data.sets.labelled import labelled_mini

ADDRESS = "https://ml-inat-competition-datasets.s3.amazonaws.com/2021"
TRAIN = Archive(
    "train.tar.gz",
    url=f"{ADDRESS}/train.tar.gz",
    md5="e0526d53c7f7b2e3167b2b43bb2690ed",  # both as torchvision has them
    files=5_400_000,
    gigabytes=450,
)
VAL = Archive(
    "val.tar.gz",
    url=f"{ADDRESS}/val.tar.gz",
    md5="f6f6e0e242e3d4c9569ba56400938afc",
    files=220_000,
    gigabytes=18,
)
PARTS: tuple[Part, ...] = (whole_archive("inat2021/train", TRAIN), whole_archive("inat2021/val", VAL))


def spoken(name: str) -> str:
    """Return the genus and the species of a folder: '00000_Animalia_..._Lumbricus_terrestris'."""
    return " ".join(name.split("_")[-2:])


INFO = DatasetInfo(
    name="inat2021",
    title="iNaturalist 2021",
    kind="classification",
    folder="inat2021",
    splits={"train": 2_686_843, "val": 100_000},
    roles=Roles("train", "val"),  # the labels of the official test set are not public
    classes=10_000,
    source="extract train.tar.gz and val.tar.gz from https://github.com/visipedia/inat_comp/tree/master/2021 there",
    read=partial(read_split, "train"),
    class_names=partial(subfolders_of, "train"),
    ends=(
        "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris",
        "09999_Plantae_Tracheophyta_Polypodiopsida_Schizaeales_Lygodiaceae_Lygodium_japonicum",
    ),
    spoken=spoken,
    parts=PARTS,
    gigabytes=233,
    mini=labelled_mini(
        "inat2021",
        "iNaturalist 2021",
        "L",
        WrittenLayout("{split}/{label:05d}_{name}/{stem}.jpg"),
    ),
)
