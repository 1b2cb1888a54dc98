"""Makes one task's environment."""

from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError


def make(
    benchmark: str,
    task: int | str = 0,
    protocol: str = "",
    render_mode: str | None = None,
) -> BenchmarkEnv:
    """Return a task's Gymnasium environment, as an evaluation uses it.

    Args:
        benchmark: E.g. ``libero_object``.
        task: The task's number or name.
        protocol: The protocol's card, e.g. ``openpi``; empty for the benchmark's own.
        render_mode: None, or ``rgb_array`` for the main camera's images.

    Raises:
        UsageError: A name is unknown, or the benchmark cannot run in this process.
    """
    from harness.runs.plan import BenchmarkRequest, resolve_setup

    setup = resolve_setup(BenchmarkRequest(benchmark, (str(task),), protocol), episodes=1)
    problem = setup.family.problem(images=True)
    if problem:
        raise UsageError(problem)
    if setup.family.venv is not None:
        raise UsageError(f"{benchmark} runs in a Python environment of its own; use assay.evaluate")
    env = setup.family.make(setup.benchmark, setup.tasks[0], setup.protocol)
    env.render_mode = render_mode
    return env
