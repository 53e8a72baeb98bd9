"""Teachers' targets on disk."""
