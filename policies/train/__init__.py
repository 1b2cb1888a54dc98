"""Trains policies from demonstrations."""
