"""The Ray backend: environments and policies as actors, with the same bytes as inline."""
