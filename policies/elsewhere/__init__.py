"""Policies that run in a Python environment of their own, beside Assay's."""
