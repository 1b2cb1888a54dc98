"""Sizes, seconds and memory: what an evaluation will cost."""

import math
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.contracts.policy import PolicySpec
from harness.contracts.setup import BenchmarkSetup
from harness.preflight.interview import Interview
from harness.preflight.remark import Remark
from harness.preflight.scenes import SceneStates


@dataclass(frozen=True)
class Loading:
    """What loading the policy took.

    Attributes:
        seconds: Seconds.
        before: Resident MB of this process before it.
        after: Resident MB after it.
    """

    seconds: float
    before: float
    after: float


def size_remarks(policy: PolicySpec, scene: SceneStates, interview: Interview) -> Iterator[Remark]:
    """Yield what the policy sees and returns."""
    yield _cameras(policy, scene)
    declared = "" if policy.state_layout else ", which the policy does not state"
    yield Remark("ok", "state layout", f"{scene.spec.state_layout}{declared}")
    declared = "" if policy.action_layout else ", which the policy does not state"
    yield Remark("ok", "action layout", f"{scene.spec.action_layout}{declared}")
    yield _chunks(interview)


def _cameras(policy: PolicySpec, scene: SceneStates) -> Remark:
    sizes = {role: scene.spec.cameras[role] for role in policy.cameras}
    seen = ", ".join(f"{role} {height}x{width}" for role, (height, width) in sizes.items())
    wanted = policy.image_size
    if wanted is None or all(size == tuple(wanted) for size in sizes.values()):
        return Remark("ok", "cameras", seen or "none")
    text = f"{seen}, and the policy states {wanted[0]}x{wanted[1]}"
    return Remark("warning", "cameras", text, "nobody resizes them: the policy must do it itself")


def _chunks(interview: Interview) -> Remark:
    lengths, executed = (
        sorted({length for length in interview.lengths if length}),
        interview.executed,
    )
    shown = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    text = f"{shown} actions, the protocol executes {executed or 'all'}"
    if executed is None or lengths[0] >= executed:
        return Remark("ok", "chunk", text)
    return Remark(
        "warning",
        "chunk",
        text,
        f"the policy will be asked more often than every {executed} actions: is that meant?",
    )


def cost_remarks(
    setup: BenchmarkSetup, scenes: Sequence[SceneStates], interview: Interview, loading: Loading
) -> Iterator[Remark]:
    """Yield what the policy costs, and an estimate for the whole benchmark."""
    first, rest = interview.seconds[0], interview.seconds[1:] or interview.seconds
    median = float(np.median(rest))
    passes = interview.policy.evaluations / len(interview.seconds)
    counted = f", {passes:.3g} forward passes" if passes else ""
    text = f"{_ms(median)} a chunk (median of {len(rest)}), {_ms(first)} the first{counted}"
    yield Remark("ok", "time", f"{text}; loaded in {loading.seconds:.1f} s")
    grown = loading.after - loading.before
    yield Remark(
        "ok", "memory", f"{loading.after:.0f} MB in this process, {grown:.0f} MB of it by loading"
    )
    yield _estimate(setup, scenes, interview, median)


def _estimate(
    setup: BenchmarkSetup, scenes: Sequence[SceneStates], interview: Interview, chunk: float
) -> Remark:
    """Estimate the time of the protocol's number of episodes, if all reach the step limit."""
    limit = max(scene.limit for scene in scenes)
    length = float(np.median([length for length in interview.lengths if length]))
    executed = min(interview.executed or math.inf, length)
    seconds = {part: _known(scenes, part) for part in ("reset", "step", "render")}
    asks = math.ceil(limit / executed)
    episode = seconds["reset"] + limit * seconds["step"] + asks * (seconds["render"] + chunk)
    count = len(setup.tasks) * setup.protocol.episodes_per_task
    hours = count * episode / 3600
    took = f"{hours:.2g} h" if hours >= 1 else f"{60 * hours:.2g} min"
    share = asks * chunk / episode
    step = "" if seconds["step"] else ", without the simulator's steps, which were not measured"
    return Remark(
        "ok",
        "estimate",
        f"at most {took} in one process for {len(setup.tasks)} tasks x "
        f"{setup.protocol.episodes_per_task} episodes of {limit} steps, "
        f"{share:.0%} of it in the policy{step}",
    )


def resident_megabytes() -> float:
    """Return the memory that this process uses now; on macOS the most it has used."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _known(scenes: Sequence[SceneStates], part: str) -> float:
    return scenes[-1].seconds.get(part, 0.0)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
