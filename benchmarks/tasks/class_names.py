"""Names of classes in plain language, from the names in the folders and lists of a data set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

import open_clip
from timm.data import ImageNetInfo

from umt.data.contract import Dataset
from umt.errors import LayoutError

WORDNET_ID = re.compile(r"n\d{8}")


def spoken_names(dataset: Dataset) -> list[str]:
    """Return a name for each class in order of index; UMTError for a WordNet id that is no class of ImageNet-1k."""
    try:
        return [SPOKEN[dataset.info.name](name) for name in dataset.class_names]
    except KeyError as error:
        raise LayoutError(
            f"{dataset.root}: class folder {error} is no class of ImageNet-1k; call the folder by the name of its class"
        ) from None


def _imagenet(name: str) -> str:
    return _by_wordnet_id()[name] if WORDNET_ID.fullmatch(name) else _words(name)


def _words(name: str) -> str:
    """Split a name into words: 'Faces_easy' -> 'Faces easy'."""
    return name.replace("_", " ")


def _bird(name: str) -> str:
    """Remove the number of a bird: '001.Black_footed_Albatross' -> 'Black footed Albatross'."""
    return _words(name.partition(".")[2] or name)


@cache
def _by_wordnet_id() -> Mapping[str, str]:
    """Return the names that CLIP's authors chose, which are in the order of the sorted ids."""
    info = ImageNetInfo()
    ids = [info.index_to_label_name(index) for index in range(info.num_classes())]
    return dict(zip(ids, open_clip.IMAGENET_CLASSNAMES, strict=True))


SPOKEN: Mapping[str, Callable[[str], str]] = {
    "imagenet": _imagenet,
    "aircraft": _words,
    "caltech101": _words,
    "cub": _bird,
}
