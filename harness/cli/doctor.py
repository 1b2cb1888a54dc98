"""The command `doctor`."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from harness.cli.codes import EXIT_INCOMPLETE
from harness.venvs.examine import examine


@dataclass
class DoctorCommand:
    """Say what can run here, and the exact command that mends what cannot."""

    def __call__(self) -> int:
        """Print the findings."""
        table = Table("", "what", "found")
        checks = examine()
        for check in checks:
            mark = "[green]ok"
            if check.problem:
                mark = "[yellow]no" if check.extra else "[red]no"
            table.add_row(mark, check.name, check.problem or check.detail)
        Console().print(table)
        return EXIT_INCOMPLETE if any(c.problem and not c.extra for c in checks) else 0
