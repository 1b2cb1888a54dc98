"""A plan, its folder, and the loop that fills it."""
