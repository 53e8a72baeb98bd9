"""Photographs with captions of templates, in the layouts of COCO's and Flickr30k's captions."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from umt.data.mini.crops import save, write_lines
from umt.data.mini.photos import NAMES, photo

SIDE = 160  # pixels of the longer side
TEMPLATES = ("a photo of a {}", "a picture of the {}", "this is a {}", "a {}, seen from close by", "an image of one {}")


def write_captions(file: str, images: str, folder: Path, count: int) -> None:
    """Write photographs into the folder of images, and their captions into a file of the form that its name has."""
    (folder / images).mkdir()
    names = [f"{index:012d}_{name}.jpg" for index, name in enumerate(NAMES[:count], start=1)]
    captions = [[template.format(name.replace("_", " ")) for template in TEMPLATES] for name in NAMES[:count]]
    for name, photograph in zip(names, NAMES, strict=False):
        image = Image.fromarray(photo(photograph))
        image.thumbnail((SIDE, SIDE))
        save(image, folder / images / name)
    if file.endswith(".json"):
        (folder / file).write_text(json.dumps(_coco(names, captions)))
    else:
        rows = [f"{name},{text}" for name, texts in zip(names, captions, strict=True) for text in texts]
        write_lines(folder / file, ["image,caption", *rows])


def _coco(names: list[str], captions: list[list[str]]) -> dict[str, object]:
    """Return the content of a list in COCO's own form."""
    return {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": 10 * number + index, "image_id": number, "caption": caption}
            for number, texts in enumerate(captions)
            for index, caption in enumerate(texts)
        ],
    }
