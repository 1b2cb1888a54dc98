"""The policy that plays a benchmark's expert and writes its demonstrations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import BenchmarkEnv, StepOutcome
from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query, check_compatible
from harness.contracts.registry import make_policy
from harness.contracts.spec import EpisodeSpec
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.perturbation import Perturber
from harness.demonstrations.settings import RecordingSettings
from harness.demonstrations.shards import write_shard


class RecordPolicy(Policy):
    """Plays the scripted expert and writes a demonstration of each episode that succeeds.

    With `RecordingSettings.after`, another policy plays first. The demonstration is of the
    expert's steps only: the way out of the states that this policy reached (Ross et al. 2011).
    """

    source = "DATA_SET_FOLDER"
    """What the command line expects after the colon."""

    spec = PolicySpec("oracle")
    """The name is part of each episode's key, so of its perturbations and its image steps."""

    needs_env = True
    errors_may_pass = True

    def __init__(self, source: str) -> None:
        """Read the settings of the data set's folder.

        Raises:
            UsageError: The folder holds none, or the policy that plays first has changed.
        """
        self._folder = Path(source).absolute()
        self._settings = RecordingSettings.load(self._folder)
        self._first_policy = _first_policy(self._settings)
        self._loaded = False

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Start a demonstration.

        Raises:
            NotImplementedError: The task has no expert.
            UsageError: The environment lacks a camera, or does not fit the policy that plays first.
        """
        expert = env.expert()
        if expert is None:
            raise NotImplementedError(f"{spec.benchmark} has no expert for {spec.task}")
        for camera in self._settings.cameras:
            require_known(f"camera of {spec.task}", camera, env.cameras)
        if self._first_policy is not None:
            check_compatible(self._first_policy.spec, env)
            if not self._loaded:
                self._first_policy.load()
                self._loaded = True
        self._expert, self._env, self._spec = expert, env, spec
        self._takeover = self._settings.takeover(spec.key)
        self._perturber = Perturber(env, self._settings.perturbations, int(spec.key, 16))
        # The phase differs between episodes, so that every step has images in some of them.
        self._phase = int(spec.key, 16) % self._settings.every
        self._states: list[NDArray[np.float32]] = []
        self._actions: list[NDArray[np.float32]] = []
        self._executed: list[NDArray[np.float32]] = []
        self._perturbed_steps: list[int] = []
        self._images: dict[int, dict[str, NDArray[np.uint8]]] = {}
        self._postponed: list[int] = []

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the expert's next action and record it with its observation."""
        left = self._takeover - self._env.steps
        if self._first_policy is not None and left > 0:
            seen = self._env.observe(self._first_policy.spec.cameras)
            first = Query(seen, queries[0].stream, queries[0].memory, queries[0].step)
            return [self._first_policy.infer([first])[0][:left]]
        step = len(self._actions)
        due = step % self._settings.every == self._phase
        # Step 0 always has images: only they tell the tasks apart before the arm has moved.
        if self._settings.cameras and (due or step == 0):
            self._record_images(step)
        action = self._expert.act()
        executed = self._perturber.apply(action)
        if executed is not action:
            self._perturbed_steps.append(step)
        self._states.append(queries[0].observation["state"])
        self._actions.append(action)
        self._executed.append(executed)
        return [executed[np.newaxis]]

    def end(self, outcome: StepOutcome) -> None:
        """Write the demonstration if the episode succeeded, or if only first frames are wanted."""
        if not self._actions or not (outcome.success or self._settings.first_frames):
            return
        if self._postponed:
            self._render_postponed()
        spec, env = self._spec, self._env
        demonstration = Demonstration(
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
                role: np.array([images[role] for images in self._images.values()])
                for role in self._settings.cameras
            },
            image_steps=np.array(list(self._images), np.int64),
            perturbed_steps=np.array(self._perturbed_steps, np.int64),
        )
        write_shard(self._folder, demonstration)

    def _record_images(self, step: int) -> None:
        # After the end of its plan an expert rarely succeeds, but often goes on to the step limit.
        # Most of these images would be thrown away, so they are rendered only after a success.
        if getattr(self._expert, "over", False) and not self._takeover:
            self._postponed.append(step)
        else:
            self._images[step] = self._render()

    def _render(self) -> dict[str, NDArray[np.uint8]]:
        images, pixels = self._env.observe(self._settings.cameras)["image"], self._settings.pixels
        if not pixels:
            return images
        # Importing torch takes seconds.
        from harness.demonstrations.resize import resize_images

        return {role: resize_images(image[np.newaxis], pixels)[0] for role, image in images.items()}

    def _render_postponed(self) -> None:
        """Play the episode again to render the images that were left out."""
        self._env.begin(self._spec.episode, self._spec.seed)
        for step, action in enumerate(self._executed):
            if step in self._postponed:
                self._images[step] = self._render()
            self._env.advance(action)


def _first_policy(settings: RecordingSettings) -> Policy | None:
    """Return the policy that plays before the expert; None without one.

    Raises:
        UsageError: The policy has changed since the recording began.
    """
    if not settings.after:
        return None
    policy = make_policy(settings.after)
    if policy.spec.name != settings.identity:
        raise UsageError(
            f"--after {settings.after} is {policy.spec.name} now, and was {settings.identity} "
            "when the recording began; use another --out"
        )
    return policy
