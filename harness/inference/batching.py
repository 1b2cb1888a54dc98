"""How large a batch a policy actor makes and for whom it waits, learnt while it works."""

from collections import defaultdict, deque
from collections.abc import Mapping
from statistics import median

WORTH_DOUBLING = 1.1
"""How much more throughput a batch of twice the size must bring to stay."""
SAMPLES = 3
"""Batches of a size before their median counts."""
LARGEST = 64
"""Observations in a batch at most, however well it scales."""
OVERDUE = 0.2
"""Who should be back already is expected within this share of his usual time, until twice that."""


class BatchSize:
    """Grows the largest batch while that pays: from 1 by doubling, back by halving.

    A policy on a CPU takes twice as long for twice the batch, so its batches stay small and nobody
    waits for company that saves nothing; on a GPU they grow to what is asked at once.
    """

    def __init__(self, fixed: int | None) -> None:
        """Start with 1, or stay with `fixed`."""
        self.limit = 1 if fixed is None else fixed
        self._settled = fixed is not None
        self._seconds: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=20))

    @property
    def seconds(self) -> float:
        """The median time of the fullest batches so far; 0 before the first."""
        seen = [size for size, times in self._seconds.items() if times and size <= self.limit]
        return median(self._seconds[max(seen)]) if seen else 0.0

    def learn(self, size: int, seconds: float, more_wait: bool) -> None:
        """Take in how long a batch took, and whether others had no room in it."""
        self._seconds[size].append(seconds)
        full = self._seconds[self.limit]
        if self._settled or size < self.limit or len(full) < SAMPLES:
            return
        half = self._seconds[self.limit // 2]
        if half and 2 * median(half) < WORTH_DOUBLING * median(full):
            self.limit, self._settled = self.limit // 2, True
        elif more_wait and self.limit < LARGEST:
            self.limit *= 2

    def shrink(self) -> None:
        """A batch failed that may have been too large for the memory."""
        self.limit, self._settled = max(1, self.limit // 2), True


class ReturnTimes:
    """Foresees when each environment asks again, from how long it took so far."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self._answered: dict[str, float] = {}
        self._away: dict[str, float] = {}

    def asked(self, client: str, now: float) -> None:
        """An environment asks."""
        answered = self._answered.pop(client, None)
        if answered is not None:
            away = now - answered
            self._away[client] = 0.7 * self._away.get(client, away) + 0.3 * away

    def answered(self, client: str, now: float) -> None:
        """An environment has its answer and acts on it."""
        self._answered[client] = now

    def expected(self, now: float) -> list[float]:
        """Return in how many seconds who is away comes back; who is long overdue does not."""
        gone = {client: now - answered for client, answered in self._answered.items()}
        return sorted(
            max(away - gone[client], OVERDUE * away)
            for client, away in self._away.items()
            if client in gone and gone[client] < 2 * away
        )


def worthwhile_wait(waiting: int, room: int, expected: list[float], seconds: float) -> float:
    """Return how long to wait for company, in seconds.

    Everybody who waits loses that time; everybody who comes meanwhile saves the rest of a batch's
    time, which he would otherwise spend waiting for the next one.
    """
    best, gain = 0.0, 0.0
    for companions, wait in enumerate(expected[:room], start=1):
        worth = companions * (seconds - wait) - waiting * wait
        if worth > gain:
            best, gain = wait, worth
    return best


def histogram(sizes: Mapping[int, int]) -> dict[str, int]:
    """Return the counts with keys that JSON can hold."""
    return {str(size): count for size, count in sorted(sizes.items())}
