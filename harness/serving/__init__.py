"""openpi's websocket protocol: the server, the client and the messages."""
