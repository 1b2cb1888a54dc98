"""The command `power`."""

from dataclasses import astuple, dataclass

from harness.contracts.errors import UsageError

_DESIGNS = (
    "same scenes, the better policy succeeds on every scene that the other solves",
    "same scenes, independent outcomes",
    "different scenes",
)


@dataclass(kw_only=True)
class PowerCommand:
    """Plan a comparison: the episodes that a difference needs, or the difference they detect."""

    baseline: float
    """The success rate of the policy to compare with, in percent."""
    difference: float | None = None
    """The difference to detect, in points; e.g. 5, or -5."""
    episodes: int | None = None
    """Instead of --difference: the planned episodes per policy."""
    power: float = 0.8
    """The probability of detecting the difference."""

    def __call__(self) -> int:
        """Print the number for each design."""
        from tabulate import tabulate

        self._check()
        header = f"for {100 * self.power:g}% power"
        rows = zip(_DESIGNS, self._numbers(), strict=True)
        print(tabulate(rows, ["design", header], tablefmt="github"))
        return 0

    def _numbers(self) -> list[str]:
        """Return the answer for each design: episodes, or points."""
        from harness.statistics.power import detectable_difference, episodes_needed

        baseline = self.baseline / 100
        if self.difference is not None:
            plan = episodes_needed(baseline, self.difference / 100, self.power)
            return [f"{n} episodes per policy" for n in astuple(plan)]
        assert self.episodes is not None
        gaps = astuple(detectable_difference(baseline, self.episodes, self.power))
        # nan, the only value unequal to itself: even a perfect policy is not enough better.
        return [f"{100 * gap:+.1f} points" if gap == gap else "out of reach" for gap in gaps]

    def _check(self) -> None:
        """Reject numbers outside their range, nan included."""
        from harness.statistics.interval import ALPHA

        if (self.difference is None) == (self.episodes is None):
            raise UsageError("give either --difference or --episodes")
        if not 0 <= self.baseline <= 100:
            raise UsageError(f"--baseline must be from 0 to 100 percent, not {self.baseline:g}")
        if not ALPHA < self.power < 1:
            raise UsageError(
                f"--power must be between {ALPHA:g} and 1, e.g. 0.8, not {self.power:g}"
            )
        if self.difference is not None:
            low, high = -self.baseline, 100 - self.baseline
            # The tolerance is for rounding errors: 100 - 64.1 is not quite 35.9.
            inside = low - 1e-9 <= self.difference <= high + 1e-9
            if not inside or abs(self.difference) < 0.01:
                raise UsageError(
                    f"--difference must be from {low:g} to {high:g} points for a baseline of "
                    f"{self.baseline:g} percent, and at least 0.01 in size, not {self.difference:g}"
                )
        elif self.baseline == 100:
            raise UsageError("--episodes needs a --baseline below 100 percent: nothing is better")
        elif self.episodes is not None and self.episodes < 1:
            raise UsageError(f"--episodes must be at least 1 per policy, not {self.episodes}")
