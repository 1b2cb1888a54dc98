"""Layouts: YAML files that describe a table of a paper without its numbers.

A layout lists the table's places (suites, tasks, and means of them) and its policies, and names
them in the runs and in the published tables. docs/layouts.md describes the format.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError, require_known
from harness.contracts.yaml_files import read_yaml

LAYOUTS = Path(__file__).parent.parent.parent / "published" / "layouts"
MINUS = " - "
"""Separates the two policies of a difference, as in the published tables."""

_METRICS = ("success", "progress")
_ROWS = ("policies", "places")
_WEIGHTS = ("tasks", "places")
_ALL = "all"

_FIELDS = ("title", "metric", "rows", "head", "places", "policies", "differences", "sources")
_PLACE_FIELDS = ("label", "group", "ours", "published", "mean", "weigh")
_POLICY_FIELDS = ("label", "ours", "published")
_SOURCE_FIELDS = ("source", "table")
_PUBLISHED_FIELDS = ("benchmark", "suite", "task", "arm")


@dataclass(frozen=True)
class LayoutPlace:
    """A suite, a task, or a mean over other places of the layout.

    Attributes:
        label: The text in the table.
        group: The heading above it and its neighbours; empty for none.
        ours: A suite of our runs, or `suite/task`; empty for a mean, or if we have no runs.
        published: Benchmark, suite, task and arm in the published tables; None for nothing.
        mean: The labels of the places in the mean; empty for a single place.
        weigh: Whether the mean gives each of its `tasks` or each of its `places` the same weight.
    """

    label: str
    group: str
    ours: str
    published: tuple[str, ...] | None
    mean: tuple[str, ...]
    weigh: str


@dataclass(frozen=True)
class LayoutPolicy:
    """A row of the table: a policy, or a difference of two, written `A - B`.

    Attributes:
        label: The text in the table.
        ours: A pattern for the policy in our runs.
        published: A pattern for the method in the published tables.
    """

    label: str
    ours: str
    published: str


@dataclass(frozen=True)
class LayoutSource:
    """A publication whose numbers the table may show; `table` limits it to one table."""

    source: str
    table: str


@dataclass(frozen=True)
class TableLayout:
    """A table without its numbers.

    Attributes:
        name: The file's name without its suffix.
        title: The caption.
        metric: `success` or `progress`.
        rows: Whether rows are `policies` or `places`; the columns are the other.
        head: The text above the row labels.
        places: The places, in order.
        policies: The policies, in order; empty for all.
        differences: Differences of two policies, shown after the policies.
        sources: The sources of published numbers, in order; empty for all.
    """

    name: str
    title: str
    metric: str
    rows: str
    head: str
    places: tuple[LayoutPlace, ...]
    policies: tuple[LayoutPolicy, ...]
    differences: tuple[LayoutPolicy, ...]
    sources: tuple[LayoutSource, ...]

    def members(self, mean: LayoutPlace) -> list[LayoutPlace]:
        """Return the places of a mean."""
        return [place for place in self.places if place.label in mean.mean]


def layout_names() -> list[str]:
    """Return the names of the installed layouts."""
    return sorted(path.stem for path in LAYOUTS.glob("*.yaml"))


def load_layout(name: str) -> TableLayout:
    """Read an installed layout by name, or a layout from a YAML file.

    Raises:
        UsageError: The layout is unknown or damaged; the message names file and field.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        require_known("layout", name, layout_names())
        path = LAYOUTS / f"{name}.yaml"
    values = read_yaml(path, "layout")
    try:
        return _layout(re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem), values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def plain_layout(metric: str, suites: Iterable[tuple[str, str]], mean: bool = False) -> TableLayout:
    """Return the default layout: a row for each policy, a column for each suite, and means.

    A family with several suites has a mean of its own.

    Args:
        metric: ``success`` or ``progress``.
        suites: Family and name of each suite.
        mean: Whether several families have a common mean too.
    """
    families: dict[str, list[str]] = {}
    for family, suite in suites:
        families.setdefault(family, []).append(suite)
    single = len(families) == 1
    places: list[LayoutPlace] = []
    for family, names in families.items():
        places += [
            LayoutPlace(name, "", name, (family, name, "", ""), (), "tasks") for name in names
        ]
        if len(names) > 1:
            label = "Mean" if single else f"{family} (mean)"
            places.append(LayoutPlace(label, "", "", None, tuple(names), "tasks"))
    if mean and not single:
        every = tuple(name for names in families.values() for name in names)
        places.append(LayoutPlace("Mean", "", "", None, every, "tasks"))
    title = {"success": "Success rates", "progress": "Process scores"}[metric]
    return TableLayout(metric, title, metric, "policies", "Policy", tuple(places), (), (), ())


def matches(pattern: str, name: str) -> bool:
    """Return whether a name fits a pattern, in which `*` stands for any text without ` (`.

    So a policy under an ablation, ``flow@1a2b (no-image)``, fits only a pattern that names the
    ablation. Not fnmatch: names may contain brackets.
    """
    star = r"(?:(?! \().)*"
    return re.fullmatch(star.join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def _layout(name: str, values: Any) -> TableLayout:
    top = _mapping("the layout", values, _FIELDS, required=("title", "places"))
    places = [_place(f"places[{i}]", v) for i, v in enumerate(_list("places", top["places"]))]
    layout = TableLayout(
        name,
        _text("title", top["title"]),
        _choice("metric", top.get("metric", "success"), _METRICS),
        _choice("rows", top.get("rows", "policies"), _ROWS),
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


def _place(where: str, values: Any) -> LayoutPlace:
    entry = _mapping(where, values, _PLACE_FIELDS, required=("label",))
    mean = entry.get("mean", [])
    mean = [_ALL] if mean == _ALL else _list(f"{where}.mean", mean)
    label, group, ours = (
        _text(f"{where}.{name}", entry.get(name, "")) for name in ("label", "group", "ours")
    )
    if mean and ours:
        raise UsageError(f"{where} has both ours and mean; a mean is over other places")
    if "weigh" in entry and not mean:
        raise UsageError(f"{where} has weigh but no mean")
    published = None
    if "published" in entry:
        given = _mapping(f"{where}.published", entry["published"], _PUBLISHED_FIELDS, required=())
        published = tuple(
            _text(f"{where}.published.{name}", given.get(name, "")) for name in _PUBLISHED_FIELDS
        )
    return LayoutPlace(
        label,
        group,
        ours,
        published,
        tuple(_text(f"{where}.mean", label) for label in mean),
        _choice(f"{where}.weigh", entry.get("weigh", "tasks"), _WEIGHTS),
    )


def _resolved(places: list[LayoutPlace]) -> Iterable[LayoutPlace]:
    """Replace the groups in every mean by the labels of their places."""
    single = [place for place in places if not place.mean]
    labels = [place.label for place in places]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"two places have the label {label!r:.100}; labels must be unique")
    groups = {place.group for place in single if place.group}
    for place in places:
        named: list[str] = []
        for name in place.mean:
            known = {_ALL} | groups | {each.label for each in single}
            require_known(f"place in the mean of {place.label!r:.100}:", name, sorted(known))
            named += [p.label for p in single if name in (_ALL, p.group, p.label)]
        yield replace(place, mean=tuple(dict.fromkeys(named)))


def _policy(where: str, values: Any) -> LayoutPolicy:
    entry = _mapping(where, values, _POLICY_FIELDS, required=("label",))
    if "ours" not in entry and "published" not in entry:
        raise UsageError(f"{where} needs ours or published: the name of a policy, or a pattern")
    return LayoutPolicy(*(_text(f"{where}.{name}", entry.get(name, "")) for name in _POLICY_FIELDS))


def _difference(where: str, values: Any) -> LayoutPolicy:
    difference = _policy(where, values)
    for name, text in (("ours", difference.ours), ("published", difference.published)):
        if text and text.count(MINUS) != 1:
            raise UsageError(
                f"{where}.{name} must be two policies, written 'A - B', got {text!r:.100}"
            )
    return difference


def _source(where: str, values: Any) -> LayoutSource:
    entry = _mapping(where, values, _SOURCE_FIELDS, required=("source",))
    return LayoutSource(*(_text(f"{where}.{name}", entry.get(name, "")) for name in _SOURCE_FIELDS))


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
        raise UsageError(f"{where} must be a list, got {value!r:.80}")
    return value


def _text(where: str, value: Any) -> str:
    # YAML reads 1.0 as a number and no as False; the table would print something else.
    if not isinstance(value, str):
        raise UsageError(f"{where} must be text, got {value!r:.80}; put it in quotes")
    return value.strip()


def _choice(where: str, value: Any, known: Iterable[str]) -> str:
    require_known(where, str(value), known)
    return str(value)
