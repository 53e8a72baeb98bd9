"""Features of frozen backbones on disk, computed once for all that ask for them."""
