"""Checks of data sets: single items, whole sets, and the record of what was found sound."""
