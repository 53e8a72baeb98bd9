"""The Backbone contract and everything that can be plugged into it."""

from umt.backbones.contract import Backbone, Features, Preprocess
from umt.backbones.registry import create_backbone

__all__ = ["Backbone", "Features", "Preprocess", "create_backbone"]
