"""Policies with LeRobot's interface: `select_action`, `predict_action_chunk` and `reset`."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.extras import program_name
from harness.contracts.policy import ActionChunk, Policy, Query
from harness.contracts.spec import EpisodeSpec
from harness.contracts.venv import VirtualEnv
from policies.elsewhere.lerobot_adapter import Adapter, Checkpoint
from policies.elsewhere.policy import ElsewherePolicy
from policies.imported import SYNTAX, find_imported
from policies.lerobot_folder import LeRobotFolder
from policies.seeded import seeded


class LeRobotPolicy(Policy):
    """Plays a LeRobot checkpoint, e.g. lerobot:FOLDER, or your own class with LeRobot's interface.

    If the policy needs one observation, it is asked for a chunk and the protocol says how many
    actions are executed. Otherwise it is asked at every step, and each worker has its own copy.
    """

    source = f"FOLDER, or {SYNTAX}"
    """The command line's syntax after ``lerobot:``."""

    venv = VirtualEnv(
        name="lerobot",
        packages=("lerobot[smolvla]==0.4.4", "msgpack>=1", "websockets>=13"),
        imports=("lerobot.policies.factory", "msgpack", "websockets.sync.server"),
        versions=("3.10", "3.11"),
        engine=False,
    )

    def __new__(cls, source: str) -> Policy:  # type: ignore[misc]
        """Use the virtual environment if it is built and LeRobot is not installed here."""
        if find_spec("lerobot") is None and cls.venv.problem() is None:
            return ElsewherePolicy(f"{cls.venv.home}:lerobot:{source}")
        return super().__new__(cls)

    def __init__(self, source: str) -> None:
        """Read a checkpoint's config.json, or import the class that creates the policy.

        Raises:
            UsageError: The folder is no checkpoint of LeRobot, or the import fails.
        """
        self._source = source
        folder = LeRobotFolder.parse(source, "lerobot")
        if folder is not None:
            self._make: Any = lambda: _checkpoint(folder)
            self.spec, self.files = folder.spec, folder.files
            self.needs_env = folder.needs_every_observation
        else:
            imported = find_imported(source, "lerobot")
            self._make = imported.make if imported.is_factory else lambda: None
            self.spec, self.files, self.code = imported.spec, imported.files, imported.code
            self.needs_env = not hasattr(imported.target, "predict_action_chunk")
        self.batching = "none" if self.needs_env else "fast"

    def load(self) -> None:
        """Create the LeRobot policy.

        Raises:
            UsageError: It lacks one of LeRobot's methods, or needs every observation unannounced.
        """
        try:
            self._adapter = Adapter(self._make())
        except TypeError as error:
            raise UsageError(f"{self._source}: {error}") from error
        if not self._adapter.chunks and not self.needs_env:
            raise UsageError(
                f"{self._source} needs every observation, as its config says; leave out its "
                f"predict_action_chunk, so that each worker gets its own policy"
            )
        self.own_replan = self._adapter.own_replan

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Start an episode; its first query resets the policy."""

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return chunks; the noise of a batch comes from its first stream."""
        with seeded(queries[0].stream):
            if len(queries) == 1:
                return [self._adapter(queries[0].observation, queries[0].memory)]
            chunks: Sequence[ActionChunk] = self._adapter.several([q.observation for q in queries])
            return chunks


def _checkpoint(folder: LeRobotFolder) -> Checkpoint:
    try:
        return Checkpoint(str(folder.path), folder.cameras)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"LeRobot cannot be imported here ({error}); run: {program_name()} env build lerobot, "
            f"or name the environment that has it: --policy-python FOLDER"
        ) from error
