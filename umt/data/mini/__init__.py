"""The embedded data: a small real example in the official layouts, made from pip packages and a renderer."""

from umt.data.mini.write import MINI, PARTS, MiniPart, MiniSize, write_mini, write_part

__all__ = ["MINI", "PARTS", "MiniPart", "MiniSize", "write_mini", "write_part"]
