"""The inline backend: every episode in this process, where a debugger can follow it.

All but those of a benchmark with a Python of its own: these are played in one worker on Ray.
"""

from collections.abc import Callable, Generator, Sequence

from threadpoolctl import threadpool_limits

from harness.contracts.spec import EpisodeSpec
from harness.play.rollout import Episode
from harness.play.threads import use_one_core
from harness.play.worker import Worker
from harness.runs.block import blocks
from harness.runs.plan import Work


def run_inline(
    work: Work, specs: Sequence[EpisodeSpec], tell: Callable[[str], None]
) -> Generator[Episode, None, None]:
    """Play the episodes in order, those that another Python has to play after the others."""
    apart = [spec for spec in specs if work.interpreter(spec)]
    yield from _play_here(work, [spec for spec in specs if not work.interpreter(spec)])
    if apart:
        # Only who needs Ray waits for it to be imported.
        from harness.backends.ray.backend import run_ray
        from harness.backends.ray.options import RayOptions

        yield from run_ray(work, apart, tell, options=RayOptions(workers=1))


def _play_here(work: Work, specs: Sequence[EpisodeSpec]) -> Generator[Episode, None, None]:
    if not specs:
        return
    use_one_core()
    # Where linear algebra was imported before, it would add in another order than Ray's workers.
    with threadpool_limits(limits=1, user_api="blas"):
        for policy in work.policies.values():
            policy.load()
        worker = Worker(work.cells, work.policies)
        try:
            for block in blocks(work, specs):
                yield from worker.play(block)
        finally:
            worker.close()
