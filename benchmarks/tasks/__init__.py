"""The tasks of the suite: one file each, all on the template of `benchmarks.tasks.contract`."""
