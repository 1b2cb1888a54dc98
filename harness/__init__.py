"""Assay's engine: runs episodes and keeps their records; knows no benchmark or policy by name."""

__version__ = "0.1.0"
