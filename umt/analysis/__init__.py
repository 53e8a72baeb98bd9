"""Analyses of frozen features: CKA, principal components, cosine maps."""
