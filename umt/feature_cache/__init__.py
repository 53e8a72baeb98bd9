"""Features of frozen backbones on disk, computed once for all callers."""
