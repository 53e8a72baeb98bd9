"""Alignment of the student's spaces with their targets: losses, their weights and balance, standardised targets."""
