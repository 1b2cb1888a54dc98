"""Evaluate robot policies from Python."""
