"""Targets of items as numbers: the classes of pixels, and several labels of an image."""
