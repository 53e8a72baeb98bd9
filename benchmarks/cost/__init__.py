"""Device hours and disk of a suite before it runs."""
