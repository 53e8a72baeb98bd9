"""ImageNet-R (Hendrycks et al. 2021): renditions of 200 classes, from paintings to toys."""

from umt.data.archives import Archive
from umt.data.sets.variants import imagenet_variant

GET = "get it from https://github.com/hendrycks/imagenet-r"
ARCHIVE = Archive("imagenet-r.tar", get=GET, files=61_000, gigabytes=4.4)
INFO = imagenet_variant("imagenet_r", "ImageNet-R", ARCHIVE, "imagenet-r", images=30_000, number=4)
