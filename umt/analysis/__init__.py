"""What frozen features have in common and what they show: CKA, principal components, cosine maps."""
