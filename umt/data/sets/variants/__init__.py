"""Other test images, or other labels, for classifiers of ImageNet."""
