"""Checks a policy on a few scenes of a benchmark before it is evaluated."""
