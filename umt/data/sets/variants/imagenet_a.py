"""ImageNet-A (Hendrycks et al. 2021): photographs of 200 classes that ResNet-50 got wrong."""

from umt.data.archives import Archive
from umt.data.sets.variants import imagenet_variant

GET = "get it from https://github.com/hendrycks/natural-adv-examples"
ARCHIVE = Archive("imagenet-a.tar", get=GET, files=16_000, gigabytes=1.4)
INFO = imagenet_variant("imagenet_a", "ImageNet-A", ARCHIVE, "imagenet-a", images=7500, number=2)
