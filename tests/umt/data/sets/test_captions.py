"""The lists of captions of COCO and Flickr30k, in each of their forms, and what is wrong with a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from umt.data.registry import find_dataset
from umt.errors import UMTError

TEXTS = {"b.jpg": ["a dog, brown", "one dog"], "a.jpg": ["two cats"]}
KARPATHY = {
    "images": [
        {
            "filepath": "val2014",
            "filename": name,
            "split": "test",
            "sentences": [{"raw": text, "tokens": text.split()} for text in texts],
        }
        for name, texts in TEXTS.items()
    ]
    + [{"filename": "c.jpg", "split": "train", "sentences": [{"raw": "not for tests"}]}]
}
COCO = {
    "images": [{"id": 10, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 10, "caption": "two cats"},
        {"image_id": 9, "caption": "a dog, brown"},
        {"image_id": 9, "caption": "one dog"},
    ],
}
TABLE = "image,caption\nb.jpg,a dog, brown\na.jpg,two cats\n\nb.jpg,one dog\n"


@pytest.fixture
def make(tmp_path: Path, make_image: Callable[..., Path]) -> Callable[..., Path]:
    """Writes images, and a list of captions beside them."""

    def write(folder: str, images: str, file: str, content: Any) -> Path:
        for name in ("a", "b", "c"):
            make_image(tmp_path / folder / images / f"{name}.jpg")
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / folder / file).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("name", "folder", "images", "file", "content"),
    [
        ("coco_captions", "coco", "val2014", "coco_test_karpathy.json", COCO),
        ("coco_captions", "coco", "val2014", "dataset_coco.json", KARPATHY),
        ("flickr30k", "flickr30k", "flickr30k-images", "dataset_flickr30k.json", KARPATHY),
        ("flickr30k", "flickr30k", "", "flickr30k_test_karpathy.txt", TABLE),
        ("flickr30k", "flickr30k", "Images", "flickr30k_test_karpathy.txt", TABLE.replace("\n", "\r\n")),
    ],
)
def test_each_form_gives_images_and_captions(
    make: Callable[..., Path], name: str, folder: str, images: str, file: str, content: Any
) -> None:
    dataset = find_dataset(name, make(folder, images, file, content))
    assert [sample.image.name for sample in dataset.reported_samples] == list(TEXTS)
    assert {sample.target for sample in dataset.reported_samples} == {dataset.root / file}
    assert dataset.captions == [tuple(texts) for texts in TEXTS.values()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a list of captions"),
        ("[]", "field 'annotations' is None, expected a list of objects"),
        ({"images": [1], "annotations": []}, "field 'images' is .*expected a list of objects"),
        ({**COCO, "annotations": []}, r"captions of image 'b\.jpg' are .*expected texts"),
        ({**COCO, "annotations": [{"image_id": 9, "caption": 1}]}, r"captions of image 'b\.jpg' are \[1\]"),
        ({**COCO, "images": [{"id": 9, "file_name": "../b.jpg"}]}, "is no path below"),
        ({**COCO, "images": [{"id": 9, "file_name": "d.jpg"}]}, r"d\.jpg: image is listed in .* but missing"),
    ],
)
def test_a_wrong_list_is_named(make: Callable[..., Path], content: Any, message: str) -> None:
    dataset = find_dataset("coco_captions", make("coco", "val2014", "coco_test_karpathy.json", content))
    with pytest.raises(UMTError, match=rf"coco.*{message}"):
        dataset.reported_samples and dataset.captions  # noqa: B018  (reads the list)


def test_a_missing_list_says_whence_it_comes(make: Callable[..., Path]) -> None:
    dataset = find_dataset("coco_captions", make("coco", "val2014", "other.json", "{}"))
    with pytest.raises(UMTError, match=r"coco_test_karpathy\.json: file of the data set is missing; get it from https"):
        dataset.reported_samples  # noqa: B018  (reads the list)
