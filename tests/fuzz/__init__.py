"""Random and damaged input: every reader refuses it with an error of ours, in bounded time."""
