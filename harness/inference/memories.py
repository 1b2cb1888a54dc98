"""Keeps what a policy remembers of the episodes that its clients play."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from harness.contracts.errors import MemoryLost


@dataclass(frozen=True)
class Place:
    """Where a query stands in an episode.

    Attributes:
        client: Who asks; a client plays one episode at a time.
        call: The number of earlier queries in this episode.
    """

    client: str
    call: int


class Memories:
    """The memories of the episodes in progress, one for each client.

    The first query of an episode replaces the memory of the client's last episode.
    """

    def __init__(self, most: int = 256) -> None:
        """Keep at most this many; the longest unused is dropped first."""
        self._most = most
        self._kept: OrderedDict[str, tuple[int, dict[Any, Any]]] = OrderedDict()

    def take(self, place: Place) -> dict[Any, Any]:
        """Return the memory for a query and count the query.

        Raises:
            MemoryLost: The memory is not here, or another query came between.
        """
        calls, memory = self._kept.pop(place.client, (-1, {}))
        if place.call == 0:
            calls, memory = 0, {}
        if calls != place.call:
            raise MemoryLost(f"the memory of call {place.call} of an episode is lost")
        self._kept[place.client] = (calls + 1, memory)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return memory
