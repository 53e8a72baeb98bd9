"""Preparation of data sets: from official archives to the folders that the loaders read."""

from umt.data.prepare.flow import PreparedFolder, prepare

__all__ = ["PreparedFolder", "prepare"]
