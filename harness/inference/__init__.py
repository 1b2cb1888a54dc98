"""Batches the requests that several clients send to one policy. No Ray in it."""
