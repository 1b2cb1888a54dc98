"""Where episodes run: in this process, on Ray, or again from recorded actions."""
