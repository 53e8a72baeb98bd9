"""COCO captions (Chen et al. 2015): 5,000 of the validation images of 2014, by Karpathy's split."""

from umt.data.archives import Archive
from umt.data.sets.captions import ANNOTATIONS, CaptionLayout, captioned_set, from_coco, from_karpathy

GET = "get val2014.zip from http://images.cocodataset.org/zips/val2014.zip"
IMAGES = Archive("val2014.zip", get=GET, files=82_000, gigabytes=14)
CAPTIONS = Archive("coco_test_karpathy.json", get=ANNOTATIONS, files=1, gigabytes=0.1)
LAYOUT = CaptionLayout({CAPTIONS.name: from_coco, "dataset_coco.json": from_karpathy}, ("val2014", ""))
INFO = captioned_set("coco_captions", "COCO captions", LAYOUT, 5000, (IMAGES, CAPTIONS), gigabytes=6.7)
