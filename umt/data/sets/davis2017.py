"""DAVIS 2017 at 480p (Pont-Tuset et al. 2017): frames of videos, each with the mask of its objects."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from umt.data.archives import Archive
from umt.data.contract import DatasetInfo, MiniVersion, Roles, Sample
from umt.data.prepare.folders import whole_archive
from umt.data.reading import image_names, listed_samples, read_table, refuse_twice
from umt.data.targets.labels import UNLABELLED, Labels
from umt.errors import LayoutError, TrustError
from umt.files import component

FRAMES, MASKS = "JPEGImages/480p", "Annotations/480p"
LEAST_FRAMES = 3  # the first shows the objects, and the last is not evaluated
PALETTE = ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))  # of the official masks: background, object 1, 2, 3
MINI_SEEDS = {"train": 50_000, "val": 60_000}  # of the first video: far from each other, and from those of other sets
MINI_SIZE = (320, 192)  # width, height in pixels
MINI_FRAMES = 12  # of a video
ARCHIVE = Archive(
    "DAVIS-2017-trainval-480p.zip",
    get="download https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip",
    files=30_000,
    gigabytes=3,
)


def read(root: Path, split: str) -> list[Sample]:
    """List the frames of the videos of a split with their masks, video after video in the order of the list."""
    path = root / "ImageSets" / "2017" / f"{split}.txt"
    videos = [name for (name,) in read_table(path, 1)]
    refuse_twice(videos, path)
    return [sample for video in videos for sample in _frames(root, video, path)]


def _frames(root: Path, video: str, listed: Path) -> list[Sample]:
    if component(video) != video:
        raise TrustError(f"{listed}: '{video[:60]}' is no name of a folder; extract the archive again")
    names = image_names(root / FRAMES / video)
    if len(names) < LEAST_FRAMES:
        raise LayoutError(
            f"{root / FRAMES / video}: {len(names)} frames, a video has {LEAST_FRAMES} or more; extract it again"
        )
    masks = listed_samples(root / MASKS / video, [(f"{Path(name).stem}.png", 0) for name in names], listed)
    return [Sample(root / FRAMES / video / name, mask.image) for name, mask in zip(names, masks, strict=True)]


def write_mini(folder: Path, counts: tuple[int, int]) -> None:
    """Write (train, val) videos of the embedded data, in which cut photographs move over others."""
    from umt.data.mini.dense import save_rgb
    from umt.data.mini.videos import moving_shapes  # slow to import

    (folder / "ImageSets" / "2017").mkdir(parents=True)
    for split, count in zip(MINI_SEEDS, counts, strict=True):
        videos = [f"{split}-{index:02d}" for index in range(count)]
        (folder / "ImageSets" / "2017" / f"{split}.txt").write_text("".join(f"{video}\n" for video in videos))
        for index, video in enumerate(videos):
            frames, masks = folder / FRAMES / video, folder / MASKS / video
            frames.mkdir(parents=True)
            masks.mkdir(parents=True)
            for number, (rgb, mask) in enumerate(moving_shapes(MINI_SEEDS[split] + index, MINI_FRAMES, MINI_SIZE)):
                save_rgb(rgb, frames / f"{number:05d}.jpg")
                picture = Image.fromarray(mask)
                picture.putpalette([level for colour in PALETTE for level in colour])
                picture.save(masks / f"{number:05d}.png")


INFO = DatasetInfo(
    name="davis2017",
    title="DAVIS 2017",
    kind="video",
    folder="DAVIS",
    splits={"train": 4209, "val": 1999},  # frames of 60 and 30 videos
    roles=Roles("train", "val"),
    classes=None,
    source="extract DAVIS-2017-trainval-480p.zip from https://davischallenge.org/davis2017/code.html into the data "
    "root, so that DAVIS holds JPEGImages/480p, Annotations/480p and ImageSets/2017",
    read=read,
    labels=Labels(tuple(range(UNLABELLED)), (UNLABELLED,)),  # 0 is the background, 1 the first object
    parts=(whole_archive("DAVIS", ARCHIVE),),
    gigabytes=0.8,
    mini=MiniVersion(
        "moving shapes",
        (1, 4),  # train, val videos
        write_mini,
        real="the photographs that shapes and backgrounds are cut from, in DAVIS 2017's layout",
        rendered="videos and masks",
        example=False,
    ),
)
