"""The tasks of the suite: a file for each, all on the template of `benchmarks.tasks.contract`."""
