"""Linear classifiers on frozen features: certified logistic regression, and many heads trained at once."""
