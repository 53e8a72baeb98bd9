"""Correspondences between images by the nearest neighbours of their dense features."""
