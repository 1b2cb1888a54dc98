"""Says what of the contract a benchmark or a policy keeps."""
