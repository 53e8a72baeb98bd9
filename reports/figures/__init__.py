"""Figures of a report, one a file, of finished tables and measurements."""
