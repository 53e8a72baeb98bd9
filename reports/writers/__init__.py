"""A writer in each file: from a finished table to text in one format."""
