"""Other libraries as Backbones: timm, open_clip, weights in pip packages."""
