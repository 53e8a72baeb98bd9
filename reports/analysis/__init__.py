"""`umt analyze`: pictures and numbers of what backbones see, from the backbones themselves."""
