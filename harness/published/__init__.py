"""Published numbers, the layouts of published tables, and the audit of the numbers."""
