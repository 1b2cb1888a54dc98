"""What the author of a policy or a benchmark reads: the types and the rules between them."""
