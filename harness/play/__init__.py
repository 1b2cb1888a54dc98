"""How one episode runs."""
