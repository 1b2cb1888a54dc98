"""The inline backend: every episode in this process, where a debugger can follow it.

Benchmarks with a virtual environment of their own run in one worker on Ray.
"""

from collections.abc import Callable, Generator, Sequence

from harness.contracts.policy import load
from harness.contracts.record import Episode
from harness.contracts.spec import EpisodeSpec
from harness.play.generators import Generators
from harness.play.threads import use_one_core
from harness.play.worker import Worker
from harness.runs.plan import Work


def run_inline(
    work: Work, specs: Sequence[EpisodeSpec], tell: Callable[[str], None]
) -> Generator[Episode, None, None]:
    """Play the episodes in order; those that need another Python come last."""
    elsewhere = [spec for spec in specs if work.interpreter(spec)]
    yield from _play_here(work, [spec for spec in specs if not work.interpreter(spec)])
    if elsewhere:
        # Importing Ray takes seconds.
        from harness.backends.ray.backend import run_ray
        from harness.backends.ray.options import RayOptions

        yield from run_ray(work, elsewhere, tell, options=RayOptions(workers=1))


def _play_here(work: Work, specs: Sequence[EpisodeSpec]) -> Generator[Episode, None, None]:
    if not specs:
        return
    from threadpoolctl import threadpool_limits

    use_one_core()
    # A library that was imported before use_one_core would add in another order than Ray's workers.
    with threadpool_limits(limits=1, user_api="blas"):
        for policy in work.policies.values():
            with Generators():
                load(policy)
        worker = Worker(work.setups, work.policies)
        try:
            for spec in specs:
                yield worker.play(spec)
        finally:
            worker.close()
