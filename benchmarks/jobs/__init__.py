"""Running jobs: the look before them, one process each, several machines."""
