"""ADE20K in the layout of the scene parsing challenge of 2016 (Zhou et al. 2017): 150 classes, 0 means unlabelled."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles
from umt.data.prepare.folders import whole_archive
from umt.data.reading import annotated_samples

# Seeds of rendered rooms: far apart, and from those of other sets, so that no room is in two splits or sets.
MINI_SEEDS = {"training": 0, "validation": 10_000}
MINI_SIZE = (160, 120)  # width, height in pixels


ARCHIVE = Archive(
    "ADEChallengeData2016.zip",
    url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
    md5="7328b3957e407ddae1d3cbf487f149ef",  # as several public loaders check it
    files=100_000,
    gigabytes=3,
)

CLASSES = (  # as MMSegmentation spells them, with the space behind "bed", since IoUs of classes are stored by them
    *("wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed ", "windowpane", "grass", "cabinet"),
    *("sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water"),
    *("painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence"),
    *("desk", "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion", "base", "box", "column"),
    *("signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator"),
    *("grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway"),
    *("river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench"),
    *("countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar"),
    *("arcade machine", "hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning"),
    *("streetlight", "booth", "television receiver", "airplane", "dirt track", "apparel", "pole", "land"),
    *("bannister", "escalator", "ottoman", "bottle", "buffet", "poster", "stage", "van", "ship", "fountain"),
    *("conveyer belt", "canopy", "washer", "plaything", "swimming pool", "stool", "barrel", "basket"),
    *("waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food", "step", "tank", "trade name"),
    *("microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen", "blanket", "sculpture", "hood"),
    *("sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier", "crt screen", "plate", "monitor"),
    *("bulletin board", "shower", "radiator", "glass", "clock", "flag"),
)


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (training, validation) rooms of the embedded data."""
    from umt.data.mini.dense import pair_folders, save_rgb
    from umt.data.mini.rendered.rooms import render_room  # slow to import

    for split, count in zip(MINI_SEEDS, counts, strict=True):
        images, annotations = pair_folders(folder, split)
        for index in range(count):
            view = render_room(MINI_SEEDS[split] + index, *MINI_SIZE)
            save_rgb(view.rgb, images / f"room_{index:04d}.jpg")
            Image.fromarray(view.labels).save(annotations / f"room_{index:04d}.png")


INFO = DatasetInfo(
    name="ade20k",
    title="ADE20K",
    kind="segmentation",
    folder="ADEChallengeData2016",
    splits={"training": 20_210, "validation": 2000},
    roles=Roles("training", "validation"),
    classes=len(CLASSES),
    label_names=CLASSES,
    source="extract ADEChallengeData2016.zip from http://sceneparsing.csail.mit.edu/ there, "
    "so that it holds images/training and annotations/training",
    read=annotated_samples,  # values of an annotation are 0 (unlabelled) and class index + 1
    parts=(whole_archive("ADEChallengeData2016", ARCHIVE),),
    gigabytes=1.0,  # the archive has 967,382,037 bytes
    mini=MiniVersion(
        "rooms",
        (64, 24),  # training, validation rooms
        write_mini,
        real="the photographs that surfaces are covered with, in ADE20K's layout",
        rendered="images and class maps",
    ),
)
