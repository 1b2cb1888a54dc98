"""Reports of trainings: a page and a plot for each checkpoint, and tables that compare them.

They belong to `policies` because they read checkpoints, which `harness` does not know.
"""
