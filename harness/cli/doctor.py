"""The command `doctor`."""

from dataclasses import dataclass

from harness.cli.codes import EXIT_INCOMPLETE
from harness.contracts.errors import PolicyCrashed, UsageError

_FILE_WIDTH = 120
"""Characters of a line if the output is not a terminal."""


@dataclass(kw_only=True)
class DoctorCommand:
    """Check the installation, or with --policy and --benchmark a policy, before a long run.

    The check of a policy takes about a minute: it asks the policy on a few scenes. The exit code
    is 0 for ok and warnings, 3 for a problem, and 2 if the policy cannot play the benchmark.
    """

    policy: str = ""
    """The policy to check. See: list policies."""
    policy_python: str = ""
    """The Python environment that holds the policy, by its folder. Default: this one."""
    benchmark: str = ""
    """The benchmark, or one task as benchmark/task. See: list benchmarks."""
    tasks: tuple[str, ...] = ()
    """Task numbers or names; the scenes are of the first two. Default: all tasks."""
    protocol: str = ""
    """The protocol card. Default: the benchmark's own. See: list protocols."""
    scenes: int = 12
    """Scenes to ask the policy in. Fewer than 12 can seldom exclude chance."""
    seed: int = 7
    """The seed of the scenes."""

    def __call__(self) -> int:
        """Print what was found."""
        if self.policy or self.benchmark:
            return self._check_policy()
        from rich.console import Console
        from rich.table import Table

        from harness.venvs.examine import examine

        table = Table("", "what", "found")
        checks = examine()
        for check in checks:
            mark = "[green]ok"
            if check.problem:
                mark = "[yellow]no" if check.extra else "[red]no"
            table.add_row(mark, check.name, check.problem or check.detail)
        Console(emoji=False).print(table)
        return EXIT_INCOMPLETE if any(c.problem and not c.extra for c in checks) else 0

    def _check_policy(self) -> int:
        from rich.console import Console

        from harness.cli.output import notes
        from harness.cli.preflight_view import PreflightView, show_preflight
        from harness.cli.run import elsewhere, require_at_least
        from harness.preflight.preflight import PreflightRequest, check_policy

        for name in ("policy", "benchmark"):
            if not getattr(self, name):
                raise UsageError(f"--{name} is missing: doctor checks a policy on a benchmark")
        require_at_least("scenes", self.scenes, 1)
        request = PreflightRequest(
            elsewhere(self.policy, self.policy_python),
            self.benchmark,
            self.tasks,
            self.protocol,
            self.seed,
            self.scenes,
        )
        try:
            with PreflightView(notes()) as view:
                report = check_policy(request, view)
        except PolicyCrashed as crash:
            notes().print(crash.traceback, markup=False, highlight=False, soft_wrap=True)
            raise UsageError(f"the policy raised {crash}; its traceback is above") from crash
        console = Console(emoji=False)
        if not console.is_terminal:
            console = Console(width=_FILE_WIDTH, emoji=False)
        show_preflight(report, console)
        return EXIT_INCOMPLETE if any(r.level == "problem" for r in report.remarks) else 0
