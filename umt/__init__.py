"""UMT-Bench: judge vision backbones with one harness, and distil better ones from several teachers."""

__version__ = "0.1.0"
