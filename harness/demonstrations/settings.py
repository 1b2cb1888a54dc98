"""The settings of a recording. They lie in the data set's folder, where every worker reads them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.contracts.errors import UsageError
from harness.contracts.extras import program_name


@dataclass(frozen=True)
class RecordingSettings:
    """How episodes are recorded into a folder.

    Attributes:
        cameras: Roles of the cameras to record; none for no images.
        every: Images are recorded at step 0 and then every `every` steps, with a phase that
            differs between episodes.
        perturbations: The share of steps at which a perturbation of the robot begins.
        pixels: Height and width of the recorded images; 0 keeps the camera's size.
        first_frames: Record only this many steps of each episode, whether or not it succeeds;
            0 records whole episodes that succeed.
        after: The policy that plays before the expert takes over; empty for none.
        after_steps: The most steps that this policy plays.
        identity: This policy's name and digest when the recording began.
    """

    cameras: tuple[str, ...] = ()
    every: int = 1
    perturbations: float = 0.0
    pixels: int = 0
    first_frames: int = 0
    after: str = ""
    after_steps: int = 0
    identity: str = ""

    def takeover(self, key: str) -> int:
        """Return the step at which the expert takes over in the episode with this key."""
        if not self.after:
            return 0
        return int(np.random.default_rng([int(key, 16), 1]).integers(self.after_steps + 1))

    def for_provenance(self) -> dict[str, Any]:
        """Return the settings for provenance.json, with the policy's identity for its path."""
        values = asdict(self)
        values["after"] = values.pop("identity")
        return values

    @classmethod
    def load(cls, folder: Path) -> "RecordingSettings":
        """Read the settings of a folder.

        Raises:
            UsageError: The folder holds none.
        """
        try:
            values = json.loads(_path(folder).read_text())
            return cls(cameras=tuple(values.pop("cameras")), **values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{folder} is not a folder of {program_name()} record") from error

    def save(self, folder: Path) -> None:
        """Write the settings, or check that the folder holds the same ones.

        Raises:
            UsageError: The folder holds other settings.
        """
        if _path(folder).exists() and (there := self.load(folder)) != self:
            differences = [
                f"{name}: {value} there, {getattr(self, name)} here"
                for name, value in vars(there).items()
                if value != getattr(self, name)
            ]
            raise UsageError(
                f"{folder} was recorded with other settings ({'; '.join(differences)}); "
                "use another --out"
            )
        _path(folder).write_text(json.dumps(asdict(self)) + "\n")


def _path(folder: Path) -> Path:
    return folder / "recording.json"
