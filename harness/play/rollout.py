"""Plays one episode: the only loop in which a policy meets an environment."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from harness.contracts.ablation import Ablation
from harness.contracts.environment import Action, BenchmarkEnv, StepOutcome, play
from harness.contracts.errors import PolicyError
from harness.contracts.policy import Policy, checked_chunk, require_one_each
from harness.contracts.protocol import Protocol
from harness.contracts.record import Episode, EpisodeRecord, finite_or_none
from harness.contracts.spec import policy_stream
from harness.play.meter import Meter


def run_episode(
    env: BenchmarkEnv,
    policy: Policy,
    ablation: Ablation,
    protocol: Protocol,
    meter: Meter,
    alive: Callable[[], None] = lambda: None,
) -> Episode:
    """Play the episode `ablation.spec` to its end.

    A `PolicyError` ends the episode as a failure. Any other exception is raised, and the caller
    may try again. `alive` is called before everything that could hang.
    """
    spec = ablation.spec
    with meter.measure("reset"):
        outcome = env.begin(spec.episode, spec.seed)
    if policy.needs_env:
        policy.begin(env, spec)
    executed: list[Action] = []
    reason = ""
    while not reason:
        alive()
        try:
            actions = _infer(env, policy, ablation, protocol, len(executed), meter)
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
    if policy.needs_env:
        policy.end(outcome)
    return finish_episode(env, ablation, outcome, executed, reason)


def _infer(
    env: BenchmarkEnv,
    policy: Policy,
    ablation: Ablation,
    protocol: Protocol,
    step: int,
    meter: Meter,
) -> Sequence[Action]:
    """Return the actions to execute next."""
    with meter.measure("render"):
        observation = ablation.observe(env, policy.spec.cameras)
    before = policy.evaluations
    with meter.measure("policy"):
        # The random stream of a chunk is numbered by the step at which the chunk starts.
        chunks = policy.infer([observation], [policy_stream(ablation.spec, step)])
    meter.chunks += 1
    meter.evaluations += policy.evaluations - before
    require_one_each(chunks, 1)
    return checked_chunk(chunks[0], env.action_layout.size)[: protocol.replan]


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
        success=outcome.success,
        progress=finite_or_none(outcome.progress),
        subgoals=dict(outcome.subgoals),
        steps=len(executed),
        reason=reason,
        instruction=ablation.instruction(env.instruction),
        actions_sha256=hashlib.sha256(actions.tobytes()).hexdigest(),
        state_sha256=hashlib.sha256(env.state_bytes()).hexdigest(),
    )
    return Episode(record, actions)
