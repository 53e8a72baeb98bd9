"""Frozen teachers: objectives, losses, standardised targets."""
