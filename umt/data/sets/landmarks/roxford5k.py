"""Revisited Oxford (Radenovic et al. 2018): 11 landmarks, 70 queries in 4,993 photographs."""

from umt.data.archives import Archive
from umt.data.sets.landmarks import landmarks

GET = "get it from https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/"
IMAGES = Archive("oxbuild_images-v1.tgz", get=GET, files=11_000, gigabytes=4)
INFO = landmarks("roxford5k", "ROxford5k", (IMAGES,), gallery=4993, gigabytes=2.0, seed=50)
