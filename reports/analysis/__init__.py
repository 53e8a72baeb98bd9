"""`umt analyze`: pictures and numbers of the features of backbones, computed by the backbones themselves."""
