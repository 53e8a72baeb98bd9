"""From results to a finished table: columns, rows, cells, notes."""
