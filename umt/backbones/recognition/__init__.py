"""Any checkpoint of a public layout: what it is, which part of it is the backbone, and how its features are read."""
