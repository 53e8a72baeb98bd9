"""One writer a file: from a finished table to text in one format."""
