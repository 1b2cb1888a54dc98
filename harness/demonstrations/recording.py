"""What is recorded into a folder of demonstrations, which every worker has to know."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.contracts.errors import UsageError


@dataclass(frozen=True)
class Recording:
    """What is recorded, as the folder of a data set says it.

    Attributes:
        cameras: Roles of the cameras; none means no pictures.
        every: Pictures are taken at the first step, and at every so many from a step on that is the
            episode's own.
        pushes: In which share of the steps a push begins that takes the robot off its way.
        pixels: Height and width that pictures are kept with; 0 for those that cameras have.
        beginnings: An episode ends after so many steps and is kept as it is; 0 for those that were
            played until they were mastered.
        after: The policy that plays first; empty for none.
        after_steps: For at most how many steps.
        identity: What that policy was called when the folder began.
    """

    cameras: tuple[str, ...] = ()
    every: int = 1
    pushes: float = 0.0
    pixels: int = 0
    beginnings: int = 0
    after: str = ""
    after_steps: int = 0
    identity: str = ""

    def led(self, key: str) -> int:
        """Return for how many steps of an episode the other policy plays first, by its key."""
        if not self.after:
            return 0
        return int(np.random.default_rng([int(key, 16), 1]).integers(self.after_steps + 1))

    def told(self) -> dict[str, Any]:
        """Return it for a data set's provenance, which names a policy by what it was, not where."""
        settings = asdict(self)
        settings["after"] = settings.pop("identity")
        return settings

    @staticmethod
    def path(folder: Path) -> Path:
        """Return where it is kept."""
        return folder / "recording.json"

    @classmethod
    def load(cls, folder: Path) -> "Recording":
        """Read what was saved.

        Raises:
            UsageError: There is nothing, or something else.
        """
        try:
            content = json.loads(cls.path(folder).read_text())
            return cls(
                tuple(map(str, content["cameras"])),
                int(content["every"]),
                float(content.get("pushes", 0)),
                int(content.get("pixels", 0)),
                int(content.get("beginnings", 0)),
                str(content.get("after", "")),
                int(content.get("after_steps", 0)),
                str(content.get("identity", "")),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{folder} is no folder of python -m benchmarks.demos") from error

    def save(self, folder: Path) -> None:
        """Keep it, or check that it is what the folder already holds.

        Raises:
            UsageError: The folder holds something else.
        """
        path = self.path(folder)
        if path.exists() and self.load(folder) != self:
            raise UsageError(
                f"{folder} holds demonstrations of other pictures, pushes or lengths, or after "
                "another policy; use another --out"
            )
        path.write_text(json.dumps(asdict(self)) + "\n")
