"""An exact loss and prediction without full-resolution logits."""
