"""The Backbone contract and everything that can be plugged into it."""

from umt.backbones.contract import Backbone, Features, Preprocess, backbone_factory
from umt.backbones.registry import create_backbone

__all__ = ["Backbone", "Features", "Preprocess", "backbone_factory", "create_backbone"]
