"""A layout: which table of a paper to fill in, as a YAML file that anybody can write.

It says which places (suites, tasks, means) and which policies a table has, and what they are called
in the runs and in the published tables. The format is described in docs/layouts.md.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.contracts.errors import UsageError, require_known

LAYOUTS = Path(__file__).parent.parent.parent / "published" / "layouts"
METRICS = ("success", "progress")
ROWS = ("policies", "places")
WEIGHTS = ("tasks", "places")
ALL = "all"

TOP = ("title", "metric", "rows", "head", "places", "policies", "differences", "sources")
PLACE = ("label", "group", "ours", "published", "mean", "weigh")
POLICY = ("label", "ours", "published")
LESS = " - "
"""Stands between the two policies of a difference, as in the published tables."""
SOURCE = ("source", "table")
PUBLISHED = ("benchmark", "suite", "task", "arm")


@dataclass(frozen=True)
class Place:
    """Where policies are evaluated: a suite, a task, or a mean over other places of the layout.

    Attributes:
        label: What the table calls it.
        group: The heading that it shares with its neighbours; empty for none.
        ours: A suite of our runs, or `suite/task`; empty where we have nothing, and for a mean.
        published: Benchmark, suite, task and arm in the published tables; None for nothing.
        mean: The labels of the places that it is the mean of; empty for a place of its own.
        weigh: Whether each of the mean's tasks counts the same, or each of its places.
    """

    label: str
    group: str
    ours: str
    published: tuple[str, ...] | None
    mean: tuple[str, ...]
    weigh: str


@dataclass(frozen=True)
class Policy:
    """Which policies a row is for, or which difference of two: `A - B` is A less B.

    In both patterns `*` stands for any text.

    Attributes:
        label: What the table calls it.
        ours: The policy in our runs.
        published: The method in the published tables.
    """

    label: str
    ours: str
    published: str


@dataclass(frozen=True)
class Source:
    """A publication whose numbers may be shown, or one table of it."""

    source: str
    table: str


@dataclass(frozen=True)
class TableLayout:
    """A table without its numbers.

    Attributes:
        name: The file's name without its ending.
        title: The caption.
        metric: What the cells show.
        rows: What the rows are, policies or places; the columns are the other.
        head: What stands above the rows' labels.
        places: The places, in order.
        policies: The policies, in order; empty for all there are.
        differences: What stands behind them, each a difference of two policies.
        sources: Where published numbers are taken from; empty for everywhere.
    """

    name: str
    title: str
    metric: str
    rows: str
    head: str
    places: tuple[Place, ...]
    policies: tuple[Policy, ...]
    differences: tuple[Policy, ...]
    sources: tuple[Source, ...]

    def members(self, mean: Place) -> list[Place]:
        """Return the places that a mean is over."""
        return [place for place in self.places if place.label in mean.mean]


def layout_names() -> list[str]:
    """Return the names of the layouts that come with the program."""
    return sorted(path.stem for path in LAYOUTS.glob("*.yaml"))


def load_layout(name: str) -> TableLayout:
    """Read a layout by name, or from a file.

    Raises:
        UsageError: There is no such layout, or it is not one; the message names file and field.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        require_known("layout", name, layout_names())
        path = LAYOUTS / f"{name}.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"cannot read the layout {path}: {reason}") from error
    try:
        return _layout(re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem), values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def plain_layout(metric: str, suites: Iterable[tuple[str, str]]) -> TableLayout:
    """Return the table that needs no file: a row a policy, a column a suite, and their mean.

    Args:
        metric: ``success`` or ``progress``.
        suites: The suites with their families' names before them.
    """
    places = [
        Place(suite, "", suite, (family, suite, "", ""), (), "tasks") for family, suite in suites
    ]
    labels = tuple(place.label for place in places)
    if len(places) > 1:
        places.append(Place("Mean", "", "", None, labels, "tasks"))
    title = {"success": "Success rates", "progress": "Process scores"}[metric]
    return TableLayout(metric, title, metric, "policies", "Policy", tuple(places), (), (), ())


def matches(pattern: str, name: str) -> bool:
    """Return whether a name fits a pattern in which only `*` is special.

    A `*` matches no space, so a policy under an ablation, ``flow@1a2b (no-image)``, fits only a
    pattern that ends in the same ablation. Not fnmatch: names may hold brackets.
    """
    return re.fullmatch(r"\S*".join(map(re.escape, pattern.split("*"))), name) is not None


def _layout(name: str, values: Any) -> TableLayout:
    top = _mapping("the layout", values, TOP, required=("title", "places"))
    places = [_place(f"places[{i}]", v) for i, v in enumerate(_list("places", top["places"]))]
    layout = TableLayout(
        name,
        _text("title", top["title"]),
        _choice("metric", top.get("metric", "success"), METRICS),
        _choice("rows", top.get("rows", "policies"), ROWS),
        _text("head", top.get("head", "")),
        tuple(_resolved(places)),
        tuple(
            _policy(f"policies[{i}]", v)
            for i, v in enumerate(_list("policies", top.get("policies", [])))
        ),
        tuple(
            _difference(f"differences[{i}]", v)
            for i, v in enumerate(_list("differences", top.get("differences", [])))
        ),
        tuple(
            _source(f"sources[{i}]", v)
            for i, v in enumerate(_list("sources", top.get("sources", [])))
        ),
    )
    if not layout.places:
        raise UsageError("places is empty; a table needs at least one")
    return layout


def _place(where: str, values: Any) -> Place:
    entry = _mapping(where, values, PLACE, required=("label",))
    mean = entry.get("mean", [])
    mean = [ALL] if mean == ALL else _list(f"{where}.mean", mean)
    texts = {name: _text(f"{where}.{name}", entry.get(name, "")) for name in PLACE[:3]}
    if mean and texts["ours"]:
        raise UsageError(f"{where} has both ours and mean; a mean is over other places")
    if "weigh" in entry and not mean:
        raise UsageError(f"{where} has weigh but no mean")
    published = None
    if "published" in entry:
        given = _mapping(f"{where}.published", entry["published"], PUBLISHED, required=())
        published = tuple(
            _text(f"{where}.published.{name}", given.get(name, "")) for name in PUBLISHED
        )
    return Place(
        texts["label"],
        texts["group"],
        texts["ours"],
        published,
        tuple(_text(f"{where}.mean", label) for label in mean),
        _choice(f"{where}.weigh", entry.get("weigh", "tasks"), WEIGHTS),
    )


def _resolved(places: list[Place]) -> Iterable[Place]:
    """Replace the groups in every mean by the labels of their places."""
    cells = [place for place in places if not place.mean]
    labels = [place.label for place in places]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"two places have the label {label!r}; a mean could not tell them")
    groups = {place.group for place in cells if place.group}
    for place in places:
        named: list[str] = []
        for name in place.mean:
            known = {ALL} | groups | {cell.label for cell in cells}
            require_known(f"place in the mean of {place.label!r}:", name, sorted(known))
            named += [c.label for c in cells if name in (ALL, c.group, c.label)]
        yield Place(
            place.label,
            place.group,
            place.ours,
            place.published,
            tuple(dict.fromkeys(named)),
            place.weigh,
        )


def _policy(where: str, values: Any) -> Policy:
    entry = _mapping(where, values, POLICY, required=("label",))
    if "ours" not in entry and "published" not in entry:
        raise UsageError(f"{where} needs ours or published, the name of a policy or a pattern")
    return Policy(*(_text(f"{where}.{name}", entry.get(name, "")) for name in POLICY))


def _difference(where: str, values: Any) -> Policy:
    difference = _policy(where, values)
    for name, text in (("ours", difference.ours), ("published", difference.published)):
        if text and text.count(LESS) != 1:
            raise UsageError(f"{where}.{name} must be two policies, written 'A - B', got {text!r}")
    return difference


def _source(where: str, values: Any) -> Source:
    entry = _mapping(where, values, SOURCE, required=("source",))
    return Source(*(_text(f"{where}.{name}", entry.get(name, "")) for name in SOURCE))


def _mapping(
    where: str, value: Any, known: Iterable[str], required: Iterable[str]
) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} must be a mapping of {', '.join(known)}")
    for name in value:
        require_known(f"field in {where}:", str(name), known)
    for name in required:
        if name not in value:
            raise UsageError(f"{where} lacks {name}")
    return value


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UsageError(f"{where} must be a list, got {value!r}")
    return value


def _text(where: str, value: Any) -> str:
    # YAML reads 1.0 and no as a number and a truth value, and the table would print something else.
    if not isinstance(value, str):
        raise UsageError(f"{where} must be text, got {value!r}; put it in quotes")
    return value.strip()


def _choice(where: str, value: Any, known: Iterable[str]) -> str:
    require_known(where, str(value), known)
    return str(value)
