"""VLABench's selection tasks."""
