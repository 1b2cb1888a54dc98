"""The command `power`."""

from dataclasses import dataclass

from harness.contracts.errors import UsageError


@dataclass(kw_only=True)
class PowerCommand:
    """Say how many episodes a difference takes, before they are played."""

    baseline: float
    """The success rate of the policy to compare with, in percent."""
    difference: float | None = None
    """The difference to find, in points; e.g. 5, or -5."""
    episodes: int | None = None
    """Instead: how many episodes per policy there will be."""
    power: float = 0.8
    """How often the difference should be found."""

    def __call__(self) -> int:
        """Print the plan."""
        from harness.statistics.power import plan_power

        if (self.difference is None) == (self.episodes is None):
            raise UsageError("give either --difference or --episodes")
        print(plan_power(self.baseline, self.difference, self.episodes, self.power))
        return 0
