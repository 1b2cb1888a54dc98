"""The ways in which actions leave the network, one file each."""
