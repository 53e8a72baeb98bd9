"""ImageNet-Sketch (Wang et al. 2019): black and white sketches of all classes."""

from umt.data.archives import Archive
from umt.data.sets.variants import imagenet_variant

GET = "get it from https://github.com/HaohanWang/ImageNet-Sketch"
ARCHIVE = Archive("ImageNet-Sketch.zip", get=GET, files=105_000, gigabytes=15)
INFO = imagenet_variant("imagenet_sketch", "ImageNet-Sketch", ARCHIVE, "sketch", images=50_889, number=5)
