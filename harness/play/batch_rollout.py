"""Plays a block: many environments in lockstep, and a policy that is asked for all at once."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.contracts.ablation import Control
from harness.contracts.environment import Action, BatchEnv, Observation, StepOutcome
from harness.contracts.errors import PolicyError
from harness.contracts.policy import ActionChunk, Policy, checked_chunk, require_one_each
from harness.contracts.protocol import Protocol
from harness.contracts.spec import policy_stream
from harness.play.meter import Meter
from harness.play.rollout import Episode, finish_episode
from harness.runs.block import Block


@dataclass
class _Row:
    """An environment of the batch and its episode."""

    index: int
    control: Control
    outcome: StepOutcome
    chunk: deque[Action] = field(default_factory=deque)
    executed: list[Action] = field(default_factory=list)
    episode: Episode | None = None
    idle: Action | None = None

    def stream(self) -> np.random.Generator:
        """Return the random stream of the chunk that starts now."""
        return policy_stream(self.control.spec, len(self.executed))

    def next_action(self) -> Action:
        """Return the chunk's next action; once the episode is over, the one that does nothing."""
        return self.chunk.popleft() if self.idle is None else self.idle

    def end(self, env: BatchEnv, reason: str) -> None:
        """Keep the episode as it is now, whatever happens in its environment later."""
        state = env.state_bytes(self.index)
        self.episode = finish_episode(env, self.control, self.outcome, self.executed, reason, state)
        self.idle = env.idle_action(self.index)


def run_block(
    env: BatchEnv,
    policy: Policy,
    block: Block,
    instructions: Sequence[str],
    protocol: Protocol,
    meter: Meter,
    alive: Callable[[], None] = lambda: None,
) -> list[Episode]:
    """Play a block until those episodes are over that are wanted; return these.

    What the policy does wrong ends the episode where it did as a failure; what the simulator does
    wrong is raised, for the caller to try the block again. `alive` is called before everything
    that could hang.
    """
    with meter.measure("reset"):
        outcomes = env.begin([(spec.episode, spec.seed) for spec in block.specs])
    rows = [
        _Row(index, Control(spec, instructions), outcome)
        for index, (spec, outcome) in enumerate(zip(block.specs, outcomes, strict=True))
    ]
    wanted = [rows[index] for index in block.rows]
    while any(row.episode is None for row in wanted):
        alive()
        _ask(env, policy, [r for r in rows if r.episode is None and not r.chunk], protocol, meter)
        alive()
        _advance(env, rows, meter)
    return [row.episode for row in wanted if row.episode is not None]


def _advance(env: BatchEnv, rows: Sequence[_Row], meter: Meter) -> None:
    """Execute one action in every environment."""
    actions = np.stack([row.next_action() for row in rows])
    with meter.measure("env"):
        outcomes = env.advance(actions)
    for row, action, outcome in zip(rows, actions, outcomes, strict=True):
        if row.episode is None:
            row.outcome = outcome
            row.executed.append(action)
            if outcome.success:
                row.end(env, "success")
            elif len(row.executed) >= env.max_steps:
                row.end(env, "step_limit")


def _ask(
    env: BatchEnv, policy: Policy, rows: Sequence[_Row], protocol: Protocol, meter: Meter
) -> None:
    """Get new chunks for the rows that have used up theirs."""
    if not rows:
        return
    with meter.measure("render"):
        seen = env.observe(policy.spec.cameras, [row.index for row in rows])
        observations = [
            row.control.cover(observation) for row, observation in zip(rows, seen, strict=True)
        ]
    meter.chunks += len(rows)
    with meter.measure("policy"):
        answers = _infer(policy, rows, observations, meter)
    for row, answer in zip(rows, answers, strict=True):
        try:
            if isinstance(answer, PolicyError):
                raise answer
            actions = checked_chunk(answer, env.action_layout.size)
            row.chunk.extend(actions[: protocol.replan])
        except PolicyError as failed:
            row.end(env, failed.reason)


def _infer(
    policy: Policy, rows: Sequence[_Row], observations: Sequence[Observation], meter: Meter
) -> Sequence[ActionChunk | PolicyError]:
    """Infer a batch if the policy can; if that fails, each alone, for one may be at fault."""
    if policy.batches and len(rows) > 1:
        before = policy.evaluations
        try:
            chunks = policy.infer(observations, [row.stream() for row in rows])
            require_one_each(chunks, len(rows))
            # A network that runs once for a batch has run for each of its episodes.
            meter.evaluations += len(rows) * (policy.evaluations - before)
            return chunks
        except Exception:  # noqa: BLE001 - whoever is at fault raises it again, alone
            pass
    return [
        _infer_alone(policy, row, observation, meter)
        for row, observation in zip(rows, observations, strict=True)
    ]


def _infer_alone(
    policy: Policy, row: _Row, observation: Observation, meter: Meter
) -> ActionChunk | PolicyError:
    before = policy.evaluations
    try:
        chunks = policy.infer([observation], [row.stream()])
        require_one_each(chunks, 1)
    except PolicyError as failed:
        return failed
    meter.evaluations += policy.evaluations - before
    return chunks[0]
