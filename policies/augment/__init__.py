"""What training does to pictures, so that a policy does not hang on how they look."""
