"""Checks a benchmark against its contract, by playing episodes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from harness.conformance.other_process import compared_elsewhere
from harness.conformance.traces import Play, Trace, trace
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.setup import BenchmarkSetup
from harness.preflight.remark import Remark


@dataclass(frozen=True)
class Checked:
    """What to play.

    Attributes:
        reference: The benchmark and protocol as on the command line, for the other process; empty
            if only this process knows the benchmark.
        protocol: The protocol as on the command line.
        seed: The run's seed.
        steps: Actions of an episode.
        images: Whether images are drawn.
    """

    reference: str
    protocol: str = ""
    seed: int = 7
    steps: int = 40
    images: bool = True


def check_task(
    setup: BenchmarkSetup, task: str, checked: Checked, tell: Callable[[str], None]
) -> list[Remark]:
    """Play episodes of a task in several ways, and say what holds."""
    from threadpoolctl import threadpool_limits

    # On several cores, a library adds in another order than in the other process.
    with threadpool_limits(limits=1, user_api="blas"):
        return _checked_task(setup, task, checked, tell)


def _checked_task(
    setup: BenchmarkSetup, task: str, checked: Checked, tell: Callable[[str], None]
) -> list[Remark]:
    tell(f"{task}: builds the simulator")
    env = setup.family.make(setup.benchmark, task, setup.protocol)
    try:
        env.begin(0, checked.seed)  # Some know their idle action only in an episode.
        remarks = list(_stated(setup, task, env))
        plays = [Play(episode, checked.seed, checked.steps) for episode in (0, 1, 0)]
        tell(f"{task}: plays episodes")
        first, other, again = (trace(env, play) for play in plays)
        remarks += _repeated(first, other, again)
        traces = [first, other]
        if checked.images:
            tell(f"{task}: draws images")
            seen = trace(env, Play(0, checked.seed, checked.steps, looks=True))
            remarks += _drawn(first, seen)
            traces.append(seen)
        remarks.append(_seeded(first, trace(env, Play(0, checked.seed + 1, checked.steps))))
        remarks += _faults(traces)
        tell(f"{task}: asks the expert")
        remarks.append(_expert(env, checked.seed))
    finally:
        env.close()
    if checked.reference:
        tell(f"{task}: plays in another process")
        remarks.append(_elsewhere(checked, task, first))
    return remarks


def _stated(setup: BenchmarkSetup, task: str, env: BenchmarkEnv) -> Iterator[Remark]:
    """Compare what the family states before the simulator is built with the environment."""
    spec = setup.family.env_spec(setup.benchmark, task, setup.protocol)
    size = env.action_space.shape or (0,)
    problems = []
    if size != (env.action_layout.size,):
        problems.append(f"the action space is {size}, the layout has {env.action_layout.size}")
    if not env.action_space.contains(env.idle_action):
        problems.append("the idle action is not in the action space")
    if not env.instruction:
        problems.append("the instruction is empty")
    if env.max_steps < 1:
        problems.append(f"the step limit is {env.max_steps}")
    listed = setup.family.step_limit(setup.benchmark, task, setup.protocol)
    if listed != env.max_steps:
        problems.append(f"step_limit says {listed}, the environment {env.max_steps}")
    if setup.family.episodes(setup.benchmark, task) != env.episodes:
        problems.append("the family and the environment state different numbers of episodes")
    if spec is not None:
        pairs = (
            ("cameras", tuple(spec.cameras), env.cameras),
            ("the state", spec.state_layout, env.state_layout),
            ("the action", spec.action_layout, env.action_layout),
        )
        problems += [f"env_spec states other {what}" for what, one, two in pairs if one != two]
    for problem in problems:
        yield Remark("problem", "statements", problem, "make both sides agree")
    if not problems:
        yield Remark("ok", "statements", "spaces, layouts, limits and env_spec agree")
    if spec is None:
        yield Remark(
            "warning",
            "statements",
            "env_spec is None: a policy that does not fit is found only after the build",
            "return the cameras and layouts from env_spec",
        )


def _repeated(first: Trace, other: Trace, again: Trace) -> Iterator[Remark]:
    if first.states == again.states:
        yield Remark("ok", "pure", "an episode gives the same bytes after another one")
    else:
        what = "begins differently" if first.begin != again.begin else "goes on differently"
        yield Remark(
            "problem",
            "pure",
            f"an episode {what} after another one was played",
            "restore everything in _begin: state, solver, caches, random generators",
        )
    if first.begin == other.begin:
        yield Remark("warning", "scenes", "episodes 0 and 1 begin in the same state")


def _drawn(first: Trace, seen: Trace) -> Iterator[Remark]:
    if first.states == seen.states:
        yield Remark("ok", "looking", "drawing images changes nothing else")
    else:
        yield Remark(
            "problem",
            "looking",
            "an episode goes on differently if images are drawn",
            "draw from a copy of the state, with random generators of its own",
        )


def _seeded(first: Trace, seeded: Trace) -> Remark:
    if first.begin != seeded.begin:
        return Remark("ok", "seed", "another seed gives another scene")
    return Remark("warning", "seed", "another seed gives the same scene, e.g. a stored one")


def _faults(traces: Sequence[Trace]) -> list[Remark]:
    faults = dict.fromkeys(fault for each in traces for fault in each.faults)
    if not faults:
        count = sum(each.steps for each in traces)
        return [Remark("ok", "steps", f"outcomes and observations of {count} steps are right")]
    return [Remark("problem", "steps", fault) for fault in faults]


def _expert(env: BenchmarkEnv, seed: int) -> Remark:
    """Play the scripted expert: a success shows that the adapter reports one."""
    outcome = env.begin(0, seed)
    expert = env.expert()
    if expert is None:
        return Remark(
            "warning", "expert", "there is none, so nothing shows that a success is reported"
        )
    while not outcome.success and env.steps < env.max_steps and not getattr(expert, "over", False):
        outcome = env.advance(np.asarray(expert.act(), np.float32))
    if outcome.success:
        return Remark("ok", "expert", f"succeeds in episode 0 after {env.steps} steps")
    return Remark("warning", "expert", f"fails in episode 0 after {env.steps} steps")


def _elsewhere(checked: Checked, task: str, first: Trace) -> Remark:
    """Play episode 1 and then 0 in a new process, and compare episode 0."""
    job = {
        "benchmark": checked.reference,
        "protocol": checked.protocol,
        "task": task,
        "plays": [asdict(Play(k, checked.seed, checked.steps)) for k in (1, 0)],
    }
    return compared_elsewhere(job, lambda hashes: _same_bytes(hashes[-1], first))


def _same_bytes(states: str, first: Trace) -> Remark:
    if states == first.states:
        return Remark("ok", "process", "another process gives the same bytes, in another order")
    return Remark(
        "problem",
        "process",
        "another process gives other bytes",
        "look for hashes of strings, sets, times, threads and files of the machine",
    )
