"""Converts between the robot's states and actions and the network's normalised ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.contracts.errors import UsageError
from harness.demonstrations.column_statistics import Statistics

Kind = Literal["quantile", "gaussian", "minmax"]
_Numbers = NDArray[np.float32]
_MARGIN = 1e-6
"""Added to a divisor, as in openpi and the E0 paper."""
_BOUNDS = {"quantile": ("q01", "q99"), "minmax": ("min", "max")}
"""The statistics that become -1 and 1."""


@dataclass(frozen=True)
class Scaling:
    """Scales each number of a vector: z = (x - centre) / span.

    Attributes:
        centre: The value that becomes 0.
        span: The distance from it that becomes 1.
    """

    centre: tuple[float, ...]
    span: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that the scaling can be inverted."""
        known = np.isfinite(self.centre).all() and all(0 < span < np.inf for span in self.span)
        if len(self.centre) != len(self.span) or not known:
            raise UsageError("a scaling needs a finite centre and a positive span for each number")

    @classmethod
    def of(
        cls, kind: Kind, statistics: Statistics, floor: float = 0.0, margin: float = _MARGIN
    ) -> "Scaling":
        """Return the scaling for data with these statistics.

        Args:
            kind: `quantile` maps the 1st and 99th percentile to -1 and 1 (the E0 paper's eq. 21),
                `minmax` the smallest and largest number, `gaussian` the mean to 0 and a standard
                deviation to 1 (eq. 20).
            statistics: With `q01` and `q99`, `min` and `max`, or `mean` and `std`.
            floor: The smallest span, for numbers that hardly change in the data.
            margin: Added to a divisor.
        """
        if kind in _BOUNDS:
            low, high = (statistics[name] for name in _BOUNDS[kind])
            span = (high - low + margin) / 2
            centre = low + span
        else:
            centre, span = statistics["mean"], statistics["std"] + margin
        return cls(tuple(centre.tolist()), tuple(np.maximum(span, floor).tolist()))

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        return len(self.centre)

    def normalize(self, values: _Numbers) -> _Numbers:
        """Return normalised values, computed in double precision."""
        normalized: _Numbers = ((values - np.array(self.centre)) / self.span).astype(np.float32)
        return normalized

    def restore(self, values: _Numbers) -> _Numbers:
        """Undo `normalize`."""
        restored: _Numbers = values * np.array(self.span) + np.array(self.centre)
        return restored.astype(np.float32)


@dataclass(frozen=True)
class Normalization:
    """How a policy's states and actions are normalised.

    Attributes:
        state: Scaling of states.
        action: Scaling of actions, after `relative` is subtracted.
        relative: For each number of an action, the index of the state number that is subtracted
            from it, or None. Joint targets are easier to learn as offsets from the joints. Empty
            if all are None.
        angles: Indices of relative numbers that are angles in rad. Their differences are wrapped,
            because pi and -pi are the same angle.
        state_angles: Indices of state numbers that are angles in rad. Their distances to the centre
            are wrapped, so that each pose has one state.
    """

    state: Scaling
    action: Scaling
    relative: tuple[int | None, ...] = ()
    angles: tuple[int, ...] = ()
    state_angles: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the indices fit the sizes."""
        if self.relative and len(self.relative) != self.action.size:
            raise UsageError("`relative` needs an entry for each number of an action")
        indices = [i for i, source in enumerate(self.relative) if source is not None]
        if not set(self.angles) <= set(indices):
            raise UsageError("`angles` must be indices that `relative` makes relative")
        if not set(self.state_angles) <= set(range(self.state.size)):
            raise UsageError(
                f"`state_angles` must be indices of a state, 0 to {self.state.size - 1}"
            )

    def states(self, state: _Numbers) -> _Numbers:
        """Return normalised states, (batch, S)."""
        return self.state.normalize(wrap(state, np.array(self.state.centre), self.state_angles))

    def origin(self, state: _Numbers) -> _Numbers:
        """Return what `relative` subtracts from actions, (batch, 1, A), for states (batch, S)."""
        indices = [i for i, source in enumerate(self.relative) if source is not None]
        origin = np.zeros((len(state), 1, self.action.size), np.float32)
        origin[:, 0, indices] = state[:, [s for s in self.relative if s is not None]]
        return origin

    def chunk(self, actions: _Numbers, state: _Numbers) -> _Numbers:
        """Return normalised chunks for the robot's chunks, (batch, H, A), and first states."""
        return self.action.normalize(self._wrapped(actions - self.origin(state)))

    def actions(self, chunk: _Numbers, state: _Numbers) -> _Numbers:
        """Return the robot's chunks for normalised ones; surplus numbers are padding."""
        restored = self.action.restore(chunk[..., : self.action.size])
        return self._wrapped(restored + self.origin(state))

    def _wrapped(self, actions: _Numbers) -> _Numbers:
        """Return the actions with angles in [-pi, pi)."""
        return wrap(actions, np.zeros(self.action.size), self.angles)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Normalization":
        """Read the JSON of `dataclasses.asdict`."""
        state, action = (Scaling(**_tuples(written[name])) for name in ("state", "action"))
        names = "relative", "angles", "state_angles"
        indices = {name: tuple(written.get(name, ())) for name in names}
        return cls(state, action, **indices)


def wrap(values: _Numbers, centre: NDArray[np.float64], angles: Sequence[int]) -> _Numbers:
    """Return the values with these angles, in rad, at most half a turn from their centre."""
    wrapped, chosen = values.copy(), list(angles)
    start = centre[chosen] - np.pi
    wrapped[..., chosen] = (values[..., chosen] - start) % (2 * np.pi) + start
    return wrapped


def mean_angles(values: _Numbers) -> NDArray[np.float64]:
    """Return the circular mean of each column of angles in rad."""
    directions = np.exp(1j * values.astype(np.float64)).mean(axis=0)
    mean: NDArray[np.float64] = np.angle(directions)
    return mean


def _tuples(written: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(map(float, written[name])) for name in ("centre", "span")}
