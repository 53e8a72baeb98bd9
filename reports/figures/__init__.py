"""Figures of a report, one a file, drawn from finished tables and results."""
