"""Stands in for upstream's package."""
