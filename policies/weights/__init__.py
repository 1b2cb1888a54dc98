"""Converts the weights of other projects to checkpoints: one adapter file for each source."""
