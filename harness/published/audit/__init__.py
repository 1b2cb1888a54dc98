"""Audits published tables: finds numbers that contradict each other, and reasons for caution."""

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
from harness.published.reference import DIFFERENCE, PublishedNumber

_Check = Callable[[Sequence[PublishedNumber]], Iterator[Finding]]

_CONTRADICTIONS: tuple[_Check, ...] = (
    wrong_averages,
    wrong_differences,
    printed_twice,
    broken_copies,
    impossible_counts,
)
_CAUTIONS: tuple[_Check, ...] = (
    clashing_counts,
    exact_copies,
    near_copies,
    lost_bases,
    uneven_weights,
    leads_within_chance,
    cells_within_chance,
)

_HEADERS = ("source", "table", "what", "printed", "recomputed", "difference", "why")


@dataclass(frozen=True)
class Audit:
    """The findings about a set of published numbers.

    Attributes:
        numbers: How many numbers were read.
        confirmed: Averages and differences that agree with their parts.
        refuted: Averages and differences that do not.
        unchecked: Averages and differences without printed parts.
        contradictions: Numbers that cannot all be correct.
        cautions: Numbers that may be correct but can mislead.
    """

    numbers: int
    confirmed: tuple[PublishedNumber, ...]
    refuted: tuple[PublishedNumber, ...]
    unchecked: tuple[PublishedNumber, ...]
    contradictions: tuple[Finding, ...]
    cautions: tuple[Finding, ...]

    def markdown(self) -> str:
        """Return the audit as GitHub's Markdown."""
        derived = len(self.confirmed) + len(self.refuted) + len(self.unchecked)
        parts = [
            "# Audit of the published numbers",
            f"{self.numbers} numbers, including {derived} averages and differences: "
            f"{len(self.confirmed)} agree with their parts, {len(self.refuted)} do not, "
            f"and {len(self.unchecked)} have no printed parts.",
            "## Contradictions",
            _table(self.contradictions),
            "## Cautions",
            _table(self.cautions),
        ]
        return "\n\n".join(parts) + "\n"


def audit(rows: Sequence[PublishedNumber]) -> Audit:
    """Run every check."""
    confirmed: list[PublishedNumber] = []
    refuted: list[PublishedNumber] = []
    unchecked: list[PublishedNumber] = []
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
        _run(_CONTRADICTIONS, rows),
        _run(_CAUTIONS, rows),
    )


def _run(checks: Sequence[_Check], rows: Sequence[PublishedNumber]) -> tuple[Finding, ...]:
    """Return the findings of the checks, in the order of the files."""
    found = [finding for check in checks for finding in check(rows)]
    return tuple(sorted(found, key=lambda finding: (finding.row.file, finding.row.line)))


def _table(findings: Sequence[Finding]) -> str:
    rows = [
        (f.row.source, f.row.table, f.what, f.printed, f.recomputed, f.difference, f.why)
        for f in findings
    ]
    return (
        tabulate(rows, _HEADERS, tablefmt="github", disable_numparse=True) if rows else "Nothing."
    )
