"""Suites as data, and from them to jobs."""
