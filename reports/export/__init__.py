"""`umt export` and the model card that it writes."""
