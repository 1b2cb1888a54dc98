"""The footnotes of a table: what its numbers mean, and what its marks refer to."""

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

from harness.contracts.protocol import ProtocolLabel
from harness.published.reference import PublishedNumber
from harness.report.alerts import fast_batches
from harness.report.paper.best import BestPolicies
from harness.report.paper.cells import TableCell
from harness.report.paper.layout import LayoutPlace, TableLayout
from harness.report.paper.lookup import Measurement
from harness.report.summary import INTERVALS, JOINED, Summary

INCOMPLETE, POOLED = "*", "\N{DAGGER}"
MOST_LISTED = 4
"""Tasks, or half the labels, that a note lists before it counts them instead."""

_Rows = Sequence[Sequence[TableCell | None]]


class Footnotes:
    """Collects footnotes while a table is filled in, and assigns their marks.

    Letters mark our protocols, numbers mark publications, a star marks a number that lacks
    episodes, and a dagger marks a row of several seeds.
    """

    def __init__(self, layout: TableLayout) -> None:
        """Start without footnotes."""
        self._layout = layout
        self._letters: dict[str, str] = {}
        self._kinds: dict[object, str] = {}
        self._numbers: dict[str, str] = {}
        self._compared: dict[str, list[str]] = {}
        self._mixed: list[str] = []
        self._differences: dict[str, None] = {}
        self._others: dict[str, tuple[PublishedNumber, dict[str, None]]] = {}
        self._star = False
        self._pooled: dict[str, None] = {}
        self._equal: list[str] = []
        self._few: list[str] = []

    def letter(self, values: Sequence[Measurement]) -> None:
        """Assign a letter to each protocol of a benchmark that has several in the table."""
        labels = list(dict.fromkeys(label for v in values for label in v.protocol.split(JOINED)))
        families = [ProtocolLabel.parse(label).family for label in labels]
        for label in labels:
            if families.count(ProtocolLabel.parse(label).family) > 1:
                self._letters[label] = _letter(len(self._letters))

    def mixed(self, place: LayoutPlace, values: Sequence[Measurement]) -> None:
        """Note that protocols or tasks differ in a place; each set of tasks gets a letter."""
        self._mixed.append(place.label)
        if len({value.tasks for value in values}) > 1:
            for value in values:
                text = f"{value.protocol}, on {_tasks(value)}"
                letter = self._letters.setdefault(text, _letter(len(self._letters)))
                self._kinds[value.kind] = letter

    def protocol(self, value: Measurement) -> str:
        """Return the letters of a number's protocols; empty if its benchmark has only one."""
        letters = (self._letters.get(label, "") for label in value.protocol.split(JOINED))
        return self._kinds.get(value.kind) or ",".join(filter(None, letters))

    def source(self, number: PublishedNumber) -> str:
        """Return the mark of a publication."""
        text = f"{number.source}, {number.table}. {number.protocol}."
        return self._numbers.setdefault(text, str(len(self._numbers) + 1))

    def contradicted(self, place: str, other: PublishedNumber) -> str:
        """Return the mark of the footnote that lists a method's other published numbers."""
        key = f"{other.method} {other.source} {other.table}"
        mark = self._numbers.setdefault(key, str(len(self._numbers) + 1))
        self._others.setdefault(key, (other, {}))[1][f"{place} {other.value}"] = None
        return mark

    def incomplete(self) -> str:
        """Return the mark of a number that lacks episodes."""
        self._star = True
        return INCOMPLETE

    def pooled(self, label: str, seeds: Sequence[int]) -> str:
        """Return the mark of a row that adds up episodes of several seeds; else nothing."""
        if len(seeds) < 2:
            return ""
        self._pooled[f"{label}: {', '.join(map(str, seeds))}"] = None
        return POOLED

    def compared(self, place: LayoutPlace, best: BestPolicies) -> None:
        """Note how the policies were compared in a place, and why nothing is bold there."""
        self._compared.setdefault(best.how, []).append(place.label)
        if not best.members and "no test" not in best.how:
            (self._equal if best.possible else self._few).append(place.label)

    def difference(self, label: str, name: str, how: Sequence[str] = ()) -> None:
        """Note which policies a difference subtracts, and what its intervals are computed from."""
        source = f"with 95 % intervals from {' and '.join(how)}" if how else "as printed"
        self._differences[f"{label}: {name}, {source}."] = None

    def lines(self, summary: Summary, rows: _Rows) -> tuple[tuple[str, str], ...]:
        """Return mark and text of all footnotes."""
        general = (("", text) for text in self._general(summary, rows))
        return (*general, *self._marked())

    def _general(self, summary: Summary, rows: _Rows) -> Iterator[str]:
        if rows:
            yield f"{self._meaning()} {self._episodes(rows)}; {_seeds(summary.seeds)}"
            shown = _protocols_of(rows)
            if unmarked := [label for label in shown if label not in self._letters]:
                yield f"Protocol: {', '.join(unmarked)}."
            yield from (
                f"{label}: {note}." for label, note in summary.notes.items() if label in shown
            )
            yield f"Versions: {', '.join(summary.versions)}."
            yield from fast_batches(summary.episodes)
            yield from self._bold()
        else:
            yield "Published numbers only: the runs have none of these places."
        yield from self._differences
        if self._numbers:
            yield "In italics: published numbers, as printed. They are not compared with ours."

    def _marked(self) -> Iterator[tuple[str, str]]:
        if self._star:
            yield INCOMPLETE, "Incomplete: episodes are missing or ended in an error."
        if self._pooled:
            yield POOLED, f"Several seeds in one row; {'; '.join(self._pooled)}."
        yield from ((mark, f"Protocol {text}.") for text, mark in self._letters.items())
        for text, mark in self._numbers.items():
            if text in self._others:
                other, values = self._others[text]
                text = f"{other.source}, {other.table} has: {', '.join(values)}."
            yield mark, text

    def _meaning(self) -> str:
        metric = "Success in %." if self._layout.metric == "success" else "Mean process score."
        by_place = [place.label for place in self._layout.places if place.weigh == "places"]
        weights = f" {_listed(by_place)}: every place has the same weight." if by_place else ""
        return f"{metric} {INTERVALS}{weights}"

    def _episodes(self, rows: _Rows) -> str:
        """Return the number of episodes behind the numbers of each place."""
        counts: dict[str, list[str]] = {}
        for index, place in enumerate(self._layout.places):
            n = sorted({cell.n or 0 for row in rows if (cell := row[index]) is not None})
            if n:
                text = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
                counts.setdefault(text, []).append(place.label)
        if len(counts) == 1:
            return f"n = {next(iter(counts))} each"
        return "n = " + "; ".join(f"{n} ({_listed(labels)})" for n, labels in counts.items())

    def _bold(self) -> Iterator[str]:
        tests = {how: places for how, places in self._compared.items() if "no test" not in how}
        if tests:
            named = [
                how if len(tests) == 1 else f"{how} ({_listed(places)})"
                for how, places in tests.items()
            ]
            plain = {*self._equal, *self._few}
            bold = any(label not in plain for places in tests.values() for label in places)
            test, level = f"Test: {'; '.join(named)}", "(p < 0.05, Holm-corrected)"
            if bold:
                yield f"Bold: the best policy and those not significantly worse {level}. {test}."
            else:
                yield f"{test} {level}."
        if self._equal:
            yield (
                f"No bold in {_listed(self._equal)}: no policy is significantly worse than the "
                "best."
            )
        if self._few:
            yield (
                f"No bold in {_listed(self._few)}: with so few episodes, no difference can be "
                "significant."
            )
        for how, places in self._compared.items():
            if how not in tests:
                yield f"Not compared, {how.partition(': ')[2]}: {_listed(places)}."
        if self._mixed:
            yield (
                f"No bold in {_listed(self._mixed)}: protocols or tasks differ, so the numbers "
                "are not comparable."
            )


def _protocols_of(rows: _Rows) -> list[str]:
    """Return the protocols of all numbers, each once."""
    cells = (cell for row in rows for cell in row if cell is not None)
    return list(dict.fromkeys(label for cell in cells for label in cell.protocol.split(JOINED)))


def _letter(index: int) -> str:
    """Return a, b, ... z, aa, ab, ..."""
    rest, last = divmod(index, len(ascii_lowercase))
    return (_letter(rest - 1) if rest else "") + ascii_lowercase[last]


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 2 * MOST_LISTED else f"{len(labels)} places"


def _tasks(value: Measurement) -> str:
    names = [task for _, _, _, task in value.keys]
    if len(names) <= MOST_LISTED:
        return ", ".join(names)
    return f"{len(names)} tasks, {names[0]} to {names[-1]}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s'[: len(seeds) > 1]} {', '.join(map(str, seeds))}."
