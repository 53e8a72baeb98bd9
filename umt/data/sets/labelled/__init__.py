"""Data sets of images with a class each, in the layouts that they share."""
