"""A package outside of UMT-Bench that adds a backbone, a task and an objective of teachers to it."""
