"""A backbone in the formats of other libraries, each compared with ours before it is written."""
