"""Pictures that jobs and analyses left, as they stand on the page."""
