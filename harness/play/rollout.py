"""Plays one episode: the only loop in which a policy meets an environment."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.contracts.ablation import Control
from harness.contracts.environment import Action, BatchEnv, BenchmarkEnv, StepOutcome, play
from harness.contracts.errors import PolicyError
from harness.contracts.policy import LocalPolicy, Policy, checked_chunk, require_one_each
from harness.contracts.protocol import Protocol
from harness.contracts.record import EpisodeRecord, finite_or_none
from harness.contracts.spec import policy_stream
from harness.play.meter import Meter


@dataclass(frozen=True)
class Episode:
    """A finished episode: its record and the actions that were executed."""

    record: EpisodeRecord
    actions: NDArray[np.float32]


def run_episode(
    env: BenchmarkEnv,
    policy: Policy,
    control: Control,
    protocol: Protocol,
    meter: Meter,
    alive: Callable[[], None] = lambda: None,
) -> Episode:
    """Play the episode of a control's spec to its end.

    What the policy does wrong ends the episode as a failure; what the simulator does wrong is
    raised, for the caller to try again. `alive` is called before everything that could hang.
    """
    spec = control.spec
    with meter.measure("reset"):
        outcome = env.begin(spec.episode, spec.seed)
    if isinstance(policy, LocalPolicy):
        policy.begin(env, spec)
    executed: list[Action] = []
    reason = ""
    while not reason:
        alive()
        try:
            actions = _ask(env, policy, control, protocol, len(executed), meter)
        except PolicyError as failed:
            reason = failed.reason
            break
        alive()
        with meter.measure("env"):
            outcome, count = play(env, actions)
        executed.extend(actions[:count])
        if outcome.success:
            reason = "success"
        elif env.steps >= env.max_steps:
            reason = "step_limit"
    if isinstance(policy, LocalPolicy):
        policy.end(outcome)
    return finish_episode(env, control, outcome, executed, reason, env.state_bytes())


def _ask(
    env: BenchmarkEnv,
    policy: Policy,
    control: Control,
    protocol: Protocol,
    step: int,
    meter: Meter,
) -> Sequence[Action]:
    """Return the actions to execute next."""
    with meter.measure("render"):
        observation = control.observe(env, policy.spec.cameras)
    before = policy.evaluations
    with meter.measure("policy"):
        # The step at which a chunk starts numbers it, so the stream needs no counter of its own.
        chunks = policy.infer([observation], [policy_stream(control.spec, step)])
    meter.chunks += 1
    meter.evaluations += policy.evaluations - before
    require_one_each(chunks, 1)
    return checked_chunk(chunks[0], env.action_layout.size)[: protocol.replan]


def finish_episode(
    env: BenchmarkEnv | BatchEnv,
    control: Control,
    outcome: StepOutcome,
    executed: Sequence[Action],
    reason: str,
    state: bytes,
) -> Episode:
    """Return the episode that ends in this state of the environment."""
    actions = np.array(executed, np.float32).reshape(len(executed), env.action_layout.size)
    record = EpisodeRecord(
        spec=control.spec,
        outcome="success" if outcome.success else "failure",
        success=outcome.success,
        progress=finite_or_none(outcome.progress),
        subgoals=dict(outcome.subgoals),
        steps=len(executed),
        reason=reason,
        instruction=control.told(env.instruction),
        actions_sha256=hashlib.sha256(actions.tobytes()).hexdigest(),
        state_sha256=hashlib.sha256(state).hexdigest(),
    )
    return Episode(record, actions)
