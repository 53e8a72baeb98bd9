"""Flickr30k (Young et al. 2014): 1,000 test images by Karpathy's split, with five captions each."""

from umt.data.archives import Archive
from umt.data.sets.captions import ANNOTATIONS, CaptionLayout, captioned_set, from_karpathy, from_table

GET = "ask for flickr30k-images.tar.gz at https://shannon.cs.illinois.edu/DenotationGraph/"
IMAGES = Archive("flickr30k-images.tar.gz", get=GET, files=64_000, gigabytes=9)
CAPTIONS = Archive("flickr30k_test_karpathy.txt", get=ANNOTATIONS, files=1, gigabytes=0.1)
LAYOUT = CaptionLayout(
    {CAPTIONS.name: from_table, "dataset_flickr30k.json": from_karpathy},
    ("flickr30k-images", "flickr30k_images", "Images", ""),
)
INFO = captioned_set("flickr30k", "Flickr30k", LAYOUT, 1000, (IMAGES, CAPTIONS), gigabytes=4.4)
