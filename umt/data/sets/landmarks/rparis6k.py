"""Revisited Paris (Radenovic et al. 2018): 11 landmarks, 70 queries in 6,322 photographs."""

from umt.data.archives import Archive
from umt.data.sets.landmarks import landmarks

GET = "get it from https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/"
IMAGES = tuple(Archive(f"paris_{part}-v1.tgz", get=GET, files=8000, gigabytes=3) for part in (1, 2))
INFO = landmarks("rparis6k", "RParis6k", IMAGES, gallery=6322, gigabytes=2.5, seed=51)
