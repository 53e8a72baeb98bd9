"""A package outside of UMT-Bench that adds a backbone, a task and a kind of teacher to it."""
