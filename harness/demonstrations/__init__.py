"""LeRobot v3.0 data sets of demonstrations: record, write and read them.

The data sets are written here and not by LeRobot's own writer, because the two cannot be
installed together: lerobot requires numpy 2 and torchcodec, and ManiSkill requires numpy < 2.
LeRobot's reader accepts these data sets; docs/demonstrations.md has the details.

`recorder` plays the episodes, `policy` records each of them into a file of its own (a shard), and
`dataset` puts the shards together. `reader` gives training its samples. The engine imports none of
this.
"""
