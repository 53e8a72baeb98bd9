"""The result store as reports read it."""
