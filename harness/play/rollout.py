"""Plays one episode: the only loop in which a policy meets an environment."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.ablation import Ablation
from harness.contracts.environment import Action, BenchmarkEnv, StepOutcome, play
from harness.contracts.errors import LONGEST_MESSAGE, PolicyError
from harness.contracts.policy import Policy, Query, ask, checked_chunk, refuse_first_answer
from harness.contracts.protocol import Protocol
from harness.contracts.record import Episode, EpisodeRecord, finite_or_none
from harness.contracts.spec import policy_stream
from harness.play.generators import Generators
from harness.play.meter import Meter

OVERSHOOT = 0.05
"""How far a number may exceed the action space, as a share of its range, before it counts.

A network that imitates a gripper of +-1 overshoots a little, without harm.
"""


def run_episode(
    env: BenchmarkEnv,
    policy: Policy,
    ablation: Ablation,
    protocol: Protocol,
    meter: Meter,
    alive: Callable[[], None] = lambda: None,
) -> Episode:
    """Play the episode `ablation.spec` to its end.

    A `PolicyError` ends the episode as a failure. Any other exception is raised. `alive` is
    called before everything that could hang.

    Raises:
        ValueError: The environment states something impossible, e.g. a progress of 2.
    """
    spec = ablation.spec
    with meter.measure("reset"):
        outcome = env.begin(spec.episode, spec.seed)
    if policy.needs_env:
        policy.begin(env, spec)
    executed: list[Action] = []
    memory: dict[Any, Any] = {}
    reason, generators = "", Generators()
    while not reason:
        alive()
        try:
            with generators:
                chunk = _infer(env, policy, ablation, memory, len(executed), meter)
        except PolicyError as failed:
            if not executed:
                refuse_first_answer(failed, policy.spec, env)
            reason, outcome = failed.reason[:LONGEST_MESSAGE], replace(outcome, success=False)
            break
        alive()
        actions = chunk[: protocol.replan]
        with meter.measure("env"):
            outcome, count = play(env, actions)
        executed.extend(actions[:count])
        if outcome.success:
            reason = "success"
        elif env.steps >= env.max_steps:
            reason = "step_limit"
    if policy.needs_env:
        policy.end(outcome)
    episode = finish_episode(env, ablation, outcome, executed, reason)
    episode.record.check()
    return episode


def _infer(
    env: BenchmarkEnv,
    policy: Policy,
    ablation: Ablation,
    memory: dict[Any, Any],
    step: int,
    meter: Meter,
) -> Sequence[Action]:
    """Return the policy's next chunk."""
    with meter.measure("render"):
        observation = ablation.observe(env, policy.spec.cameras)
    evaluations, inexact = policy.evaluations, policy.inexact
    # The random stream of a chunk is numbered by the step at which the chunk starts.
    query = Query(observation, policy_stream(ablation.spec, step), memory, step)
    with meter.measure("policy"):
        (chunk,) = ask(policy, [query])
    meter.chunks += 1
    meter.evaluations += policy.evaluations - evaluations
    meter.inexact += policy.inexact - inexact
    return checked_chunk(chunk, env.action_layout.size)


def finish_episode(
    env: BenchmarkEnv,
    ablation: Ablation,
    outcome: StepOutcome,
    executed: Sequence[Action],
    reason: str,
) -> Episode:
    """Return the episode that ends in the environment's present state."""
    actions = np.array(executed, np.float32).reshape(len(executed), env.action_layout.size)
    record = EpisodeRecord(
        spec=ablation.spec,
        outcome="success" if outcome.success else "failure",
        # A simulator may answer with numpy's types.
        success=bool(outcome.success),
        progress=finite_or_none(float(outcome.progress)),
        subgoals={name: bool(reached) for name, reached in outcome.subgoals.items()},
        steps=len(executed),
        reason=reason,
        instruction=ablation.instruction(env.instruction),
        actions_sha256=hashlib.sha256(actions.tobytes()).hexdigest(),
        state_sha256=hashlib.sha256(env.state_bytes()).hexdigest(),
        clipped=_clipped(actions, env.action_space),
    )
    return Episode(record, actions)


def _clipped(actions: NDArray[np.float32], space: Any) -> float:
    """Return the share of actions with a number clearly outside the action space."""
    if not len(actions):
        return 0.0
    slack = OVERSHOOT * (space.high - space.low)
    outside = (actions < space.low - slack) | (actions > space.high + slack)
    return round(float(outside.any(axis=1).mean()), 4)
