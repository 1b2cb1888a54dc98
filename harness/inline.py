"""The inline backend: every episode in this process, where a debugger can follow it."""

from collections.abc import Callable, Generator, Sequence

from harness.block import blocks
from harness.plan import Work
from harness.rollout import Episode
from harness.spec import EpisodeSpec
from harness.worker import Worker


def run_inline(
    work: Work, specs: Sequence[EpisodeSpec], tell: Callable[[str], None]
) -> Generator[Episode, None, None]:
    """Play the episodes in order."""
    del tell
    for policy in work.policies.values():
        policy.load()
    worker = Worker(work.cells, work.policies)
    try:
        for block in blocks(work, specs):
            yield from worker.play(block)
    finally:
        worker.close()
