"""The command `doctor`."""

from dataclasses import dataclass

from harness.cli.codes import EXIT_INCOMPLETE


@dataclass
class DoctorCommand:
    """Check the installation and print the fix for anything missing."""

    def __call__(self) -> int:
        """Print what was found."""
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
        Console().print(table)
        return EXIT_INCOMPLETE if any(c.problem and not c.extra for c in checks) else 0
