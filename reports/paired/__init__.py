"""Paired statistics: results on the same test items, and the tests of their differences."""
