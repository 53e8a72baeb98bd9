"""Print docs/robustness.md."""

from matrix.page import page

print(page(), end="")
