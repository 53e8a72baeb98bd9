"""Files and folders of weights, opened by their content; nothing in them runs."""
