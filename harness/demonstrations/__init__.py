"""LeRobot v3.0 data sets of demonstrations: record, write and read them.

This package does not use LeRobot's own writer. lerobot 0.6.1 requires Python 3.12, numpy 2 and, for
data sets, torchcodec. ManiSkill requires numpy < 2, so one environment cannot hold both.
LeRobot's reader accepts these data sets; docs/demonstrations.md has the details.

`recorder` plays the episodes, `policy` records each of them into a file of its own (a shard), and
`dataset` puts the shards together. `reader` gives training its samples. The engine imports none of
this.
"""
