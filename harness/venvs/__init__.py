"""Builds the virtual environments that benchmarks declare."""
