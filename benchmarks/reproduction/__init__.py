"""Does the method do what it is for? UMT against its baseline, its ablations and its teachers, on real images."""
