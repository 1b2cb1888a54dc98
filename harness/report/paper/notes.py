"""The footnotes of a table: what its numbers are, and what its marks refer to."""

from collections.abc import Iterator, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING

from harness.contracts.protocol import ProtocolLabel
from harness.published.reference import Published
from harness.report.paper.layout import Place, TableLayout
from harness.report.paper.lookup import Found
from harness.report.summary import FEWEST_TASKS, JOINED, Summary

if TYPE_CHECKING:
    from harness.report.paper.grid import Cell

INCOMPLETE = "*"
NAMED = 4
"""Labels or tasks that are listed before a count takes their place."""


class Notes:
    """Collects footnotes while a grid is filled in, and hands out their marks.

    Letters are protocols of ours, numbers are publications, a star is a number with episodes
    missing.
    """

    def __init__(self, layout: TableLayout) -> None:
        """Begin without any."""
        self._layout = layout
        self._letters: dict[str, str] = {}
        self._kinds: dict[object, str] = {}
        self._numbers: dict[str, str] = {}
        self._compared: dict[str, list[str]] = {}
        self._mixed: list[str] = []
        self._differences: dict[str, None] = {}
        self._others: dict[str, tuple[Published, dict[str, None]]] = {}
        self._star = False

    def letter(self, found: Sequence[Found]) -> None:
        """Give a letter to each protocol of a benchmark that has several in the table."""
        labels = list(dict.fromkeys(label for f in found for label in f.protocol.split(JOINED)))
        families = [ProtocolLabel.parse(label).family for label in labels]
        for label in labels:
            if families.count(ProtocolLabel.parse(label).family) > 1:
                self._letters[label] = _letter(len(self._letters))

    def mixed(self, place: Place, found: Sequence[Found]) -> None:
        """Note a place where protocols or tasks differ; other tasks need letters of their own."""
        self._mixed.append(place.label)
        if len({f.tasks for f in found}) > 1:
            for f in found:
                text = f"{f.protocol}, on {_tasks(f)}"
                self._kinds[f.kind] = self._letters.setdefault(text, _letter(len(self._letters)))

    def protocol(self, found: Found) -> str:
        """Return the letters of a number's protocols; empty where there is no other."""
        letters = (self._letters.get(label, "") for label in found.protocol.split(JOINED))
        return self._kinds.get(found.kind) or ",".join(filter(None, letters))

    def source(self, number: Published) -> str:
        """Return the number of a publication."""
        text = f"{number.source}, {number.table}. {number.protocol}."
        return self._numbers.setdefault(text, str(len(self._numbers) + 1))

    def contradicted(self, place: str, other: Published) -> str:
        """Return the number of the footnote for what a source says otherwise about a method."""
        key = f"{other.method} {other.source} {other.table}"
        mark = self._numbers.setdefault(key, str(len(self._numbers) + 1))
        self._others.setdefault(key, (other, {}))[1][f"{place} {other.value}"] = None
        return mark

    def incomplete(self) -> str:
        """Return the mark of a number with episodes missing."""
        self._star = True
        return INCOMPLETE

    def compared(self, place: Place, how: str) -> None:
        """Note how the policies were compared in a place."""
        self._compared.setdefault(how, []).append(place.label)

    def difference(self, label: str, name: str, how: Sequence[str] = ()) -> None:
        """Note of which policies a difference is, and what its intervals come from."""
        source = f"with 95 % intervals from {' and '.join(how)}" if how else "as printed"
        self._differences[f"{label}: {name}, {source}."] = None

    def lines(
        self, summary: Summary, rows: Sequence[Sequence["Cell | None"]]
    ) -> tuple[tuple[str, str], ...]:
        """Return all footnotes."""
        return (*self._general(summary, rows), *self._marked())

    def _general(
        self, summary: Summary, rows: Sequence[Sequence["Cell | None"]]
    ) -> Iterator[tuple[str, str]]:
        if rows:
            yield "", f"{self._meaning()} {self._episodes(rows)}; {_seeds(summary.seeds)}"
            if protocols := self._protocols(rows):
                yield "", f"Protocol: {', '.join(protocols)}."
            shown = _labels_of(rows)
            yield from (
                ("", f"{label}: {note}.") for label, note in summary.notes.items() if label in shown
            )
            yield "", f"Versions: {', '.join(summary.versions)}."
            yield from (("", text) for text in self._bold())
        else:
            yield "", "Published numbers only: the runs have none of these places."
        yield from (("", text) for text in self._differences)
        if self._numbers:
            yield "", "In italics: published numbers, as printed; they take no part in the bold."

    def _marked(self) -> Iterator[tuple[str, str]]:
        if self._star:
            yield INCOMPLETE, "Incomplete: episodes are missing or ended in errors, never scored."
        yield from ((mark, f"Protocol {text}.") for text, mark in self._letters.items())
        for text, mark in self._numbers.items():
            if text in self._others:
                other, values = self._others[text]
                text = f"{other.source}, {other.table} has: {', '.join(values)}."
            yield mark, text

    def _meaning(self) -> str:
        metric = "Success in %" if self._layout.metric == "success" else "Mean process score"
        meaning = (
            f"{metric} with 95 % intervals: Wilson's for one task; over several tasks for the mean "
            f"over tasks like these, or over these alone if they are fewer than {FEWEST_TASKS}."
        )
        alike = [place.label for place in self._layout.places if place.weigh == "places"]
        if alike:
            meaning += f" In {_labels(alike)} each place counts the same, whatever its tasks."
        return meaning

    def _episodes(self, rows: Sequence[Sequence["Cell | None"]]) -> str:
        """Say how many episodes are behind the numbers of each place."""
        counts: dict[str, list[str]] = {}
        for index, place in enumerate(self._layout.places):
            n = sorted({cell.n or 0 for row in rows if (cell := row[index]) is not None})
            if n:
                text = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
                counts.setdefault(text, []).append(place.label)
        if len(counts) == 1:
            return f"n = {next(iter(counts))} each"
        return "n = " + "; ".join(f"{n} ({_labels(labels)})" for n, labels in counts.items())

    def _protocols(self, rows: Sequence[Sequence["Cell | None"]]) -> list[str]:
        """Return the protocols that no letter stands for."""
        return [label for label in _labels_of(rows) if label not in self._letters]

    def _bold(self) -> Iterator[str]:
        tests = {how: places for how, places in self._compared.items() if "no test" not in how}
        if tests:
            named = [
                how if len(tests) == 1 else f"{how} ({_labels(places)})"
                for how, places in tests.items()
            ]
            yield (
                "Bold: not distinguishable from the best of ours at 5 %, Holm over all pairs; "
                f"{'; '.join(named)}."
            )
        for how, places in self._compared.items():
            if how not in tests:
                yield f"Not compared, {how.partition(': ')[2]}: {_labels(places)}."
        if self._mixed:
            yield (
                f"No bold in {_labels(self._mixed)}: protocols or tasks differ, so the numbers "
                "there cannot be held against each other."
            )


def _labels_of(rows: Sequence[Sequence["Cell | None"]]) -> list[str]:
    """Return the protocols of all numbers, each once."""
    cells = (cell for row in rows for cell in row if cell is not None)
    return list(dict.fromkeys(label for cell in cells for label in cell.protocol.split(JOINED)))


def _letter(index: int) -> str:
    """Return a, b, ... z, aa, ab, ..."""
    rest, last = divmod(index, len(ascii_lowercase))
    return (_letter(rest - 1) if rest else "") + ascii_lowercase[last]


def _labels(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 2 * NAMED else f"{len(labels)} places"


def _tasks(found: Found) -> str:
    names = [task for _, _, _, task in found.keys]
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{len(names)} tasks, {names[0]} to {names[-1]}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s'[: len(seeds) > 1]} {', '.join(map(str, seeds))}."
