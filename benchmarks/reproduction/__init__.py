"""A test of the method on real images: UMT against its baseline, its ablations and its teachers."""
