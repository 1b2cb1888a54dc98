"""Plays a benchmark's expert and keeps what it saw and did: the workers' side of `demos`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import BenchmarkEnv, Observation, StepOutcome
from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import ActionChunk, Policy, check_compatible
from harness.contracts.registry import make_policy
from harness.contracts.spec import EpisodeSpec
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.parts import write_part
from harness.demonstrations.recording import Recording
from policies.scripted import OraclePolicy

LONG = (3, 9)
"""How many steps a push takes: from, and below."""


class Pushes:
    """Takes a robot off its way now and then, so that its demonstrations show the way back.

    Without them a policy never saw itself beside the way, and does not find back from its first
    mistake. It is told what the expert wants there, not what was done (DART, Laskey et al. 2017).
    """

    def __init__(self, env: BenchmarkEnv, often: float, seed: int) -> None:
        """Draw from a seed when to push, and where to."""
        self._space: Any = env.action_space
        self._bounds = env.perturbations
        self._often, self._random = often, np.random.default_rng(seed)
        self._left = 0

    def push(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what is done instead of this action; the action itself when nobody pushes."""
        if self._bounds is None:
            return action
        if not self._left and self._random.random() < self._often:
            self._left = int(self._random.integers(*LONG))
            self._added = self._random.uniform(*self._bounds).astype(np.float32)
        if not self._left:
            return action
        self._left -= 1
        pushed: NDArray[np.float32] = np.clip(
            action + self._added, self._space.low, self._space.high
        )
        return pushed


def leader(recording: Recording) -> Policy | None:
    """Return the policy that plays before the expert does, if one shall.

    Raises:
        UsageError: It is not what it was when the folder began.
    """
    if not recording.after:
        return None
    policy = make_policy(recording.after)
    if policy.spec.name != recording.identity:
        raise UsageError(
            f"--after {recording.after} is {policy.spec.name} now, and was {recording.identity} "
            "when the folder began; use another --out"
        )
    return policy


class RecordPolicy(OraclePolicy):
    """The oracle, which writes a demonstration of every episode that it masters, or begins.

    Where another policy plays first, the demonstration is of what comes after: the way out of what
    that one got itself into (Ross et al. 2011, where it is the learner that is corrected).
    """

    source = "DATA_SET_FOLDER"
    """What the command line expects after the colon."""

    def __init__(self, source: str) -> None:
        """Read what shall be recorded.

        Raises:
            UsageError: The folder does not say.
        """
        self._folder = Path(source).absolute()
        self._recording = Recording.load(self._folder)
        self._leader = leader(self._recording)
        self._loaded = False

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Start a demonstration.

        Raises:
            UsageError: The environment lacks a camera that shall be recorded.
        """
        super().begin(env, spec)
        for camera in self._recording.cameras:
            require_known(f"camera of {spec.task}", camera, env.cameras)
        if self._leader is not None:
            check_compatible(self._leader.spec, env)
            if not self._loaded:
                self._leader.load()
                self._loaded = True
        self._led = self._recording.led(spec.key)
        self._env, self._spec = env, spec
        self._states: list[NDArray[np.float32]] = []
        self._actions: list[NDArray[np.float32]] = []
        self._looks: dict[int, dict[str, NDArray[np.uint8]]] = {}
        self._later: list[int] = []
        self._done: list[NDArray[np.float32]] = []
        self._pushes = Pushes(env, self._recording.pushes, int(spec.key, 16))
        self._pushed: list[int] = []
        # Not the same phase in every episode, so that no step is without pictures in all of them.
        self._phase = int(spec.key, 16) % self._recording.every

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return the expert's next action, and keep it with what led to it."""
        left = self._led - self._env.steps
        if self._leader is not None and left > 0:
            seen = self._env.observe(self._leader.spec.cameras)
            return [self._leader.infer([seen], streams)[0][:left]]
        step = len(self._actions)
        due = step % self._recording.every == self._phase
        # The first look is always kept: there the hand tells nothing yet, so that a policy has to
        # look for what it is told; later it may go on to wherever it is going.
        if self._recording.cameras and (due or step == 0):
            # After the end of a plan hardly any episode is still mastered, and many go on for long.
            if getattr(self._expert, "over", False) and not self._led:
                self._later.append(step)
            else:
                self._looks[step] = self._look()
        wanted = super().infer(observations, streams)[0][0]
        done = self._pushes.push(wanted)
        if done is not wanted:
            self._pushed.append(step)
        self._states.append(observations[0]["state"])
        self._actions.append(wanted)
        self._done.append(done)
        return [done[np.newaxis]]

    def _look(self) -> dict[str, NDArray[np.uint8]]:
        """Return what the cameras see, of the size that is kept."""
        seen, pixels = self._env.observe(self._recording.cameras)["image"], self._recording.pixels
        if not pixels:
            return seen
        # Only who resizes waits for torch to be imported.
        from policies.vla.preparation import as_bytes

        return {role: as_bytes(picture[np.newaxis], pixels)[0] for role, picture in seen.items()}

    def _look_again(self) -> None:
        """Take the pictures that nobody thought would be needed: play the episode once more."""
        self._env.begin(self._spec.episode, self._spec.seed)
        for step, action in enumerate(self._done):
            if step in self._later:
                self._looks[step] = self._look()
            self._env.advance(action)

    def end(self, outcome: StepOutcome) -> None:
        """Write the demonstration, if it is one: mastered, or no more than a beginning."""
        if not self._actions or not (outcome.success or self._recording.beginnings):
            return
        if self._later:
            self._look_again()
        spec, env = self._spec, self._env
        write_part(
            self._folder,
            Demonstration(
                benchmark=spec.benchmark,
                task=spec.task,
                episode=spec.episode,
                seed=spec.seed,
                protocol=spec.protocol,
                instruction=env.instruction,
                fps=int(env.metadata["render_fps"]),
                state=np.array(self._states, np.float32),
                action=np.array(self._actions, np.float32),
                image={
                    role: np.array([look[role] for look in self._looks.values()])
                    for role in self._recording.cameras
                },
                looked=np.array(list(self._looks), np.int64),
                pushed=np.array(self._pushed, np.int64),
            ),
        )
