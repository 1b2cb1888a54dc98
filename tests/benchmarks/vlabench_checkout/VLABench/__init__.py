"""A stand-in for upstream's package."""
