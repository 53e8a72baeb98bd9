"""A backbone in the formats of other libraries, each measured against ours before it is left anywhere."""
