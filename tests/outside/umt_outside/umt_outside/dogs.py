"""Stanford Dogs (Khosla et al. 2011) as folders of images: `train` and `test`, a folder for each breed."""

from pathlib import Path

from umt.data.contract import DatasetInfo, LabelledImages, Roles
from umt.data.reading import foldered_samples, subfolders


def class_names(root: Path) -> list[str]:
    """The breeds, in the order of the class index."""
    return subfolders(root / "train")


def read(root: Path, split: str) -> LabelledImages:
    """The images of a split in order of breed and name."""
    names = class_names(root)
    return foldered_samples(root / split, names, names)


DOGS = DatasetInfo(
    name="dogs",
    title="Stanford Dogs",
    kind="classification",
    folder="stanford-dogs",
    splits={"train": 12_000, "test": 8580},
    roles=Roles("train", "test"),
    classes=120,
    source="sort the images of http://vision.stanford.edu/aditya86/ImageNetDogs/ into train/BREED and test/BREED",
    read=read,
    class_names=class_names,
    metric="mean_per_class",
    prompts=("a photo of a {}, a type of dog.",),
)
