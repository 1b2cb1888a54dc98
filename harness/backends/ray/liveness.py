"""Notices when Ray itself has died: its GCS, or the raylet of the driver's node."""

import socket
import time

import ray

from harness.contracts.errors import RayLost

INTERVAL = 2.0
"""Seconds between two checks."""
SILENCE = 8.0
"""Seconds for which nothing may answer. Ray itself waits for a minute, then it ends the process."""
CONNECT_TIMEOUT = 2.0
PAUSE = 0.2
"""Seconds between two looks while nothing may go on."""


class Liveness:
    """Whether the two processes that a driver needs still accept connections."""

    def __init__(self) -> None:
        """Find the addresses; Ray must be connected."""
        context = ray.get_runtime_context()
        node = context.get_node_id()
        here = next(one for one in ray.nodes() if one["NodeID"] == node)  # type: ignore[no-untyped-call]
        raylet = f"{here['NodeManagerAddress']}:{here['NodeManagerPort']}"
        now = time.monotonic()
        self._checked = now
        self._heard = {("GCS", context.gcs_address): now, ("raylet", raylet): now}

    def check(self) -> None:
        """Look again if it is time.

        Raises:
            RayLost: One of them has not answered for too long.
        """
        now = time.monotonic()
        if now - self._checked < INTERVAL:
            return
        self._checked = now
        for part, heard in self._heard.items():
            name, address = part
            if _listens(address):
                self._heard[part] = now
            elif now - heard > SILENCE:
                raise RayLost(f"Ray's {name} has died (nothing answers at {address})")

    def require(self) -> None:
        """Return once both accept connections.

        Raises:
            RayLost: One of them has not answered for too long.
        """
        while not all(_listens(address) for _, address in self._heard):
            self.check()
            time.sleep(PAUSE)


def require_listener(address: str, timeout: float) -> None:
    """Require that something listens at HOST:PORT; an address without a port passes.

    Raises:
        OSError: Nothing does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout).close()


def _listens(address: str) -> bool:
    try:
        require_listener(address, CONNECT_TIMEOUT)
    except OSError:
        return False
    return True
