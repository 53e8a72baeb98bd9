"""Paired statistics: backbones compared on the same test items."""
