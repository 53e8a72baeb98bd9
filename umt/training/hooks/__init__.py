"""Hooks beside the steps of a training: saves, averages, checks, logs."""
