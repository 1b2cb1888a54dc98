"""Tables in the layout of a paper."""
