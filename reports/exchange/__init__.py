"""Exchange of results: export, import of published numbers, and a hub of results that others send."""
