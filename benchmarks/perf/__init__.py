"""Benchmarks of the suite itself: ratios measured side by side in one run, `python -m benchmarks.perf NAME`."""
