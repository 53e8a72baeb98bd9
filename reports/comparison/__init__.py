"""`umt compare`: tables, files and pictures of a comparison."""
