"""Checks published tables against themselves: what does not add up, and what to read with care."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from harness.published.audit.arithmetic import (
    printed_twice,
    recompute,
    uneven_weights,
    wrong_averages,
    wrong_differences,
)
from harness.published.audit.copies import broken_copies, exact_copies, lost_bases, near_copies
from harness.published.audit.counts import (
    cells_within_chance,
    clashing_counts,
    impossible_counts,
    leads_within_chance,
)
from harness.published.audit.finding import Finding
from harness.published.decimals import rounds_to
from harness.published.reference import DIFFERENCE, Published

Check = Callable[[Sequence[Published]], Iterator[Finding]]

CONTRADICTIONS: tuple[Check, ...] = (
    wrong_averages,
    wrong_differences,
    printed_twice,
    broken_copies,
    impossible_counts,
)
CAUTIONS: tuple[Check, ...] = (
    clashing_counts,
    exact_copies,
    near_copies,
    lost_bases,
    uneven_weights,
    leads_within_chance,
    cells_within_chance,
)


HEADERS = ("source", "table", "what", "printed", "recomputed", "difference", "why")


@dataclass(frozen=True)
class Audit:
    """What the checks say about a set of published numbers.

    Attributes:
        numbers: How many numbers were read.
        confirmed: The averages and differences that their parts give.
        refuted: Those that they do not give.
        unchecked: Those whose parts are not printed.
        contradictions: Numbers that cannot be right together.
        cautions: Numbers that may be right but say less than they seem to.
    """

    numbers: int
    confirmed: tuple[Published, ...]
    refuted: tuple[Published, ...]
    unchecked: tuple[Published, ...]
    contradictions: tuple[Finding, ...]
    cautions: tuple[Finding, ...]

    def markdown(self) -> str:
        """Return the audit as GitHub's Markdown."""
        derived = len(self.confirmed) + len(self.refuted) + len(self.unchecked)
        parts = [
            "# Audit of the published numbers",
            f"{self.numbers} numbers, of which {derived} are averages or differences: "
            f"{len(self.confirmed)} follow from their parts, {len(self.refuted)} do not, "
            f"and of {len(self.unchecked)} the parts are not printed.",
            "## What does not add up",
            _table(self.contradictions),
            "## What to read with care",
            _table(self.cautions),
        ]
        return "\n\n".join(parts) + "\n"


def audit(rows: Sequence[Published]) -> Audit:
    """Run every check."""
    confirmed: list[Published] = []
    refuted: list[Published] = []
    unchecked: list[Published] = []
    for row in rows:
        if row.kind == "average" or row.metric.endswith(DIFFERENCE):
            value = recompute(rows, row)
            if value is None:
                unchecked.append(row)
            else:
                (confirmed if rounds_to(value, row.value) else refuted).append(row)
    return Audit(
        len(rows),
        tuple(confirmed),
        tuple(refuted),
        tuple(unchecked),
        _run(CONTRADICTIONS, rows),
        _run(CAUTIONS, rows),
    )


def _run(checks: Sequence[Check], rows: Sequence[Published]) -> tuple[Finding, ...]:
    """Return what the checks find, in the order of the files."""
    found = [finding for check in checks for finding in check(rows)]
    return tuple(sorted(found, key=lambda finding: (finding.row.file, finding.row.line)))


def _table(findings: Sequence[Finding]) -> str:
    rows = [
        (f.row.source, f.row.table, f.what, f.printed, f.recomputed, f.difference, f.why)
        for f in findings
    ]
    return tabulate(rows, HEADERS, tablefmt="github", disable_numparse=True) if rows else "Nothing."
