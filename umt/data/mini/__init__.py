"""The embedded data: a small real example in the official layouts, made from pip packages and a renderer."""

from umt.data.mini.write import mini_versions, write_mini, write_set

__all__ = ["mini_versions", "write_mini", "write_set"]
