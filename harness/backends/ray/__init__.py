"""The Ray backend: the same bytes as inline, in many processes."""
