"""What stands between the numbers of a robot and those of the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.contracts.errors import UsageError
from harness.demonstrations.statistics import Statistics

Kind = Literal["quantile", "gaussian"]
Numbers = NDArray[np.float32]
MARGIN = 1e-6
"""What openpi and the E0 paper add to a divisor."""


@dataclass(frozen=True)
class Scaling:
    """Moves and stretches each number of a vector: z = (x - centre) / span.

    Attributes:
        centre: What becomes 0.
        span: What becomes 1, measured from there.
    """

    centre: tuple[float, ...]
    span: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be undone."""
        if len(self.centre) != len(self.span) or not all(span > 0 for span in self.span):
            raise UsageError("a scaling needs a centre and a positive span for each number")

    @classmethod
    def of(cls, kind: Kind, statistics: Statistics, floor: float = 0.0) -> "Scaling":
        """Return the scaling for what has these statistics.

        Args:
            kind: `quantile` maps the 1st and 99th percentile to -1 and 1 (the E0 paper's eq. 21),
                `gaussian` the mean to 0 and a standard deviation to 1 (eq. 20).
            statistics: With `q01` and `q99`, or `mean` and `std`.
            floor: The least span, for numbers that hardly change in the data.
        """
        if kind == "quantile":
            low, high = statistics["q01"], statistics["q99"]
            span = (high - low + MARGIN) / 2
            centre = low + span
        else:
            centre, span = statistics["mean"], statistics["std"] + MARGIN
        return cls(tuple(centre.tolist()), tuple(np.maximum(span, floor).tolist()))

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return len(self.centre)

    def forth(self, values: Numbers) -> Numbers:
        """Return the network's numbers for the robot's; in double precision in between."""
        forth: Numbers = ((values - np.array(self.centre)) / self.span).astype(np.float32)
        return forth

    def back(self, values: Numbers) -> Numbers:
        """Return the robot's numbers for the network's."""
        back: Numbers = (values * np.array(self.span) + np.array(self.centre)).astype(np.float32)
        return back


@dataclass(frozen=True)
class Normalization:
    """How a policy's states and actions are normalised.

    Attributes:
        state: Of the state.
        action: Of the action, after what `relative` takes off.
        relative: For each number of an action, the number of the state that it is counted from,
            or None: joint targets are learned better as distances from where the joints are.
            Empty if there is none.
        angles: Those among the counted numbers that are angles in rad: pi and -pi are the same, so
            they are counted the short way round.
        state_angles: Those among the state's numbers: they are measured the short way round from
            the centre, so that no pose is two states.
    """

    state: Scaling
    action: Scaling
    relative: tuple[int | None, ...] = ()
    angles: tuple[int, ...] = ()
    state_angles: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if self.relative and len(self.relative) != self.action.size:
            raise UsageError("`relative` needs an entry for each number of an action")
        counted = [i for i, source in enumerate(self.relative) if source is not None]
        if not set(self.angles) <= set(counted):
            raise UsageError("`angles` are counted from the state's: `relative` must name them")
        if not set(self.state_angles) <= set(range(self.state.size)):
            raise UsageError(
                f"`state_angles` must be numbers of a state, 0 to {self.state.size - 1}"
            )

    def states(self, state: Numbers) -> Numbers:
        """Return the network's states for the robot's, (batch, S)."""
        return self.state.forth(near(state, np.array(self.state.centre), self.state_angles))

    def origin(self, state: Numbers) -> Numbers:
        """Return what actions are counted from, (batch, 1, A), for states, (batch, S)."""
        counted = [i for i, source in enumerate(self.relative) if source is not None]
        origin = np.zeros((len(state), 1, self.action.size), np.float32)
        origin[:, 0, counted] = state[:, [s for s in self.relative if s is not None]]
        return origin

    def chunk(self, actions: Numbers, state: Numbers) -> Numbers:
        """Return the network's chunks for the robot's, (batch, H, A), chosen in these states."""
        return self.action.forth(self._turned(actions - self.origin(state)))

    def actions(self, chunk: Numbers, state: Numbers) -> Numbers:
        """Return the robot's chunks for the network's; numbers behind the action's are filling."""
        return self._turned(self.action.back(chunk[..., : self.action.size]) + self.origin(state))

    def _turned(self, actions: Numbers) -> Numbers:
        """Return the same with angles between -pi and pi."""
        return near(actions, np.zeros(self.action.size), self.angles)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Normalization":
        """Read what `dataclasses.asdict` wrote."""
        state, action = (Scaling(**_tuples(written[name])) for name in ("state", "action"))
        # Checkpoints of before angles were known have none.
        angles = {name: tuple(written.get(name, ())) for name in ("angles", "state_angles")}
        return cls(state, action, tuple(written["relative"]), **angles)


def near(values: Numbers, centre: NDArray[np.float64], angles: Sequence[int]) -> Numbers:
    """Return the same with these angles, in rad, at most half a turn from their centre."""
    turned, chosen = values.copy(), list(angles)
    start = centre[chosen] - np.pi
    turned[..., chosen] = (values[..., chosen] - start) % (2 * np.pi) + start
    return turned


def mean_angles(values: Numbers) -> NDArray[np.float64]:
    """Return the direction in the middle of each column of angles in rad."""
    turns = np.exp(1j * values.astype(np.float64)).mean(axis=0)
    middle: NDArray[np.float64] = np.angle(turns)
    return middle


def _tuples(written: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(map(float, written[name])) for name in ("centre", "span")}
