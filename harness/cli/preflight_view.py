"""Shows the check of a policy: its progress, its remarks and its table of actions."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.bar import Bar
from harness.preflight.actions import ActionRow
from harness.preflight.preflight import PreflightReport

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


class PreflightView:
    """Shows a bar for each stage of the check."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`."""
        self._console = console
        self._bar: Bar | None = None
        self._name = ""

    def __enter__(self) -> Self:
        """Return the view."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the bar."""
        self._stop()

    def begin(self, name: str, total: int) -> None:
        """Start a bar in place of the one before."""
        self._stop()
        self._bar = Bar(self._console, name)
        self._bar.begin(name, total, 0, "")
        self._name = name

    def advance(self, what: str) -> None:
        """Count one more."""
        assert self._bar is not None
        self._bar.advance(self._name, what)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def show_preflight(report: PreflightReport, console: Console) -> None:
    """Print the table of actions, the remarks and their count."""
    if report.rows:
        console.print(_action_table(report))
    table = Table.grid(padding=(0, 2))
    for remark in report.remarks:
        found = Text(remark.text)
        if remark.fix:
            found.append(f"\nfix: {remark.fix}", style=_COLOURS[remark.level])
        table.add_row(Text(remark.level, style=_COLOURS[remark.level]), Text(remark.topic), found)
    console.print(table)
    levels = [remark.level for remark in report.remarks]
    console.print(
        f"\n{_count(levels.count('problem'), 'problem')}, "
        f"{_count(levels.count('warning'), 'warning')}. A check of a few scenes finds common "
        f"mistakes; it does not show that the policy is good."
    )


def _action_table(report: PreflightReport) -> Table:
    expert = any(row.expert for row in report.rows)
    table = Table(
        title=f"actions in {report.states} states: minimum / median / maximum", title_justify="left"
    )
    for name in ("number", "action space", "policy", *(("expert", "r") if expert else ())):
        table.add_column(name)
    for row in report.rows:
        table.add_row(*_cells(row, expert))
    return table


def _cells(row: ActionRow, expert: bool) -> list[str]:
    cells = [row.number, f"{row.space[0]:.3g} to {row.space[1]:.3g}", _values(row.policy)]
    if expert:
        cells.append(_values(row.expert) if row.expert else "")
        cells.append("" if row.correlation is None else f"{row.correlation:.2f}")
    return cells


def _values(values: tuple[float, float, float]) -> str:
    return " / ".join(f"{value:.3g}" for value in values)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
