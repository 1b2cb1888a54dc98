"""The commands `check-benchmark` and `check-policy`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from harness.cli.codes import EXIT_INCOMPLETE
from harness.contracts.errors import UsageError

if TYPE_CHECKING:
    from harness.preflight.remark import Remark


@dataclass(kw_only=True)
class CheckBenchmarkCommand:
    """Check a benchmark against the contract: play episodes twice, in another order and process.

    The exit code is 0 for ok and warnings, and 3 for a problem. See docs/adding-a-benchmark.md.
    """

    benchmark: Annotated[str, tyro.conf.Positional]
    """The benchmark, or one task as benchmark/task."""
    tasks: tuple[str, ...] = ()
    """Task numbers or names. Default: the first two."""
    protocol: str = ""
    """The protocol card. Default: the benchmark's own."""
    steps: int = 40
    """Actions of an episode."""
    seed: int = 7
    """The seed of the episodes."""
    no_images: bool = False
    """Draw no images."""

    def __call__(self) -> int:
        """Play, and print what holds."""
        from harness.cli.output import notes
        from harness.cli.run import require_at_least
        from harness.conformance.benchmark import Checked, check_task
        from harness.runs.plan import BenchmarkRequest, Plan, resolve

        require_at_least("steps", self.steps, 2)
        request = BenchmarkRequest(self.benchmark, self.tasks, self.protocol)
        (setup,) = resolve(Plan(("zero",), (request,), 1, seed=self.seed)).setups
        if setup.family.venv is not None:
            raise UsageError(
                f"{setup.benchmark} runs in a virtual environment, where this check cannot play it"
            )
        checked = Checked(
            setup.benchmark, self.protocol, self.seed, self.steps, images=not self.no_images
        )
        remarks = []
        for task in setup.tasks if self.tasks else setup.tasks[:2]:
            found = check_task(setup, task, checked, lambda line: notes().print(line, markup=False))
            remarks += [(task, remark) for remark in found]
        return show_remarks(remarks)


@dataclass(kw_only=True)
class CheckPolicyCommand:
    """Check a policy against the contract: play episodes twice, in another order and process.

    The exit code is 0 for ok and warnings, and 3 for a problem. `doctor --policy` looks for
    mistakes in what the policy sees and does; this command looks at how it answers.
    """

    policy: Annotated[str, tyro.conf.Positional]
    """The policy by name, or name:source."""
    benchmark: str
    """The benchmark to play, or one task as benchmark/task."""
    tasks: tuple[str, ...] = ()
    """Task numbers or names. Default: the first."""
    episodes: int = 2
    """Episodes of each task; two or more."""
    protocol: str = ""
    """The protocol card. Default: the benchmark's own."""
    seed: int = 7
    """The seed of the episodes."""

    def __call__(self) -> int:
        """Play, and print what holds."""
        from harness.cli.output import notes
        from harness.cli.run import require_at_least
        from harness.conformance.policy import check_policy_contract
        from harness.runs.plan import BenchmarkRequest, Plan

        require_at_least("episodes", self.episodes, 2)
        tasks = self.tasks or (() if "/" in self.benchmark else ("0",))
        request = BenchmarkRequest(self.benchmark, tasks, self.protocol)
        plan = Plan((self.policy,), (request,), self.episodes, seed=self.seed)
        found = check_policy_contract(plan, lambda line: notes().print(line, markup=False))
        return show_remarks([("", remark) for remark in found])


def show_remarks(remarks: "Sequence[tuple[str, Remark]]") -> int:
    """Print remarks, each with its task, and return the exit code."""
    for task, remark in remarks:
        where = f"{task}  " if task else ""
        print(f"{remark.level:8} {where}{remark.topic:11} {remark.text}")
        if remark.fix:
            print(f"{'':8} {where}{'':11} fix: {remark.fix}")
    problems = sum(remark.level == "problem" for _, remark in remarks)
    warnings = sum(remark.level == "warning" for _, remark in remarks)
    print(f"{problems} problems, {warnings} warnings")
    return EXIT_INCOMPLETE if problems else 0
