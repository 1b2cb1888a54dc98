"""Policies over the network: openpi's websocket protocol, from both ends."""
