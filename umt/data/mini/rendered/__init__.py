"""Rendered scenes with exact class maps, depth, poses and keypoints, in the layouts of dense data sets."""
