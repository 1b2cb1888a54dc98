"""Demonstrations: one file each while they are recorded, one data set when they are done.

The format is LeRobot's data set v3.0 (docs/demonstrations.md).
"""
