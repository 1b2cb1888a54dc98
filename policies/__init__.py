"""Policies: what is evaluated. None of them knows a benchmark."""
