"""Writes the report as one HTML file without scripts and without network access."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.contracts.atomic import write_whole
from harness.report import chart_data, plots
from harness.report.alerts import Alert, find_alerts
from harness.report.cost import Cost
from harness.report.html.episode_list import list_episodes, relative_link
from harness.report.html.svg import figure_svg, symbols_svg
from harness.report.markdown import footnote, percent, score
from harness.report.paper.cells import Grid, TableCell, cell_numbers
from harness.report.plot_style import plot_settings
from harness.report.summary import Summary
from harness.runs.folder import Run

CHART_WIDTH = 3.6
"""Inches; the page scales charts, so that their text has its normal size on a phone."""

_HERE = Path(__file__).parent
_SECTIONS = (
    ("overview", "Overview"),
    ("results", "Results"),
    ("tasks", "Success by task"),
    ("costs", "Success and policy time"),
    ("outcomes", "Outcomes"),
    ("episodes", "Episodes"),
    ("spent", "Cost"),
    ("facts", "Runs and protocols"),
)
_COSTS = ("ms_action", "ms_chunk", "evaluations", "policy_s", "cpu_s", "gpu_s", "wall_s")


def write_page(
    runs: Sequence[Run],
    summary: Summary,
    cost: Cost | None,
    target: Path,
    embed_videos: bool = False,
    grid: Grid | None = None,
) -> None:
    """Write the report to `target`.

    Args:
        runs: The summarised runs, whose folders may hold videos.
        summary: Their results.
        cost: Their cost; None if there are no episodes.
        target: The HTML file. It links videos relative to its folder.
        embed_videos: Whether to put videos into the file, up to a size limit.
        grid: A layout's table, shown first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    text = _page(runs, summary, cost, target.parent, embed_videos, grid)
    write_whole(target, text)


def _page(
    runs: Sequence[Run],
    summary: Summary,
    cost: Cost | None,
    folder: Path,
    embed_videos: bool,
    grid: Grid | None,
) -> str:
    # Every value is escaped, except the style sheet, the charts and names with line breaks.
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["soft"] = _soft
    css = (_HERE / "page.css").read_text(encoding="utf-8")
    policies = chart_data.policy_order(summary)
    values: dict[str, Any] = {
        "title": f"Evaluation of {_listed(policies, 'policies')}",
        "css": Markup(css),
        "security_policy": _security_policy(css),
        "sections": _SECTIONS if grid is None else (("table", "Table"), *_SECTIONS),
        "grid": None if grid is None else _table(grid),
        "icons": {policy: f"marker-{index}" for index, policy in enumerate(policies)},
        "origins": list(dict.fromkeys(map(_origin, summary.facts))),
        "alerts": [
            _alert(alert, folder) for alert in find_alerts(summary.episodes, summary.refused)
        ],
        **_results(summary),
        **_charts(summary),
        **_tables(summary),
        **_spent(summary, cost),
        "episode_groups": list_episodes(runs, summary.episodes, folder, embed_videos),
        "runs": [_run(run, facts) for run, facts in zip(runs, summary.facts, strict=True)],
        "protocols": list(_protocols(summary.facts)),
    }
    return environment.get_template("page.jinja").render(values)


def _security_policy(css: str) -> str:
    """Return a Content-Security-Policy that allows only this style sheet and videos.

    `file:` serves browsers for which a page on the disk is not `self`.
    """
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; media-src 'self' file: data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _table(grid: Grid) -> dict[str, Any]:
    """Return a layout's table as text, with its rows and columns by group."""
    rows = [
        (
            row,
            [
                _cell(cell, grid.metric_at(row, column))
                for cell, column in zip(cells, grid.columns, strict=True)
            ],
        )
        for row, cells in zip(grid.rows, grid.cells, strict=True)
    ]
    groups = groupby(column.group for column in grid.columns)
    bodies = groupby(rows, lambda row: row[0].group)
    return {
        "title": grid.title,
        "head": grid.head,
        "groups": [(name, len(list(members))) for name, members in groups],
        "columns": grid.columns,
        "bodies": [(name, list(members)) for name, members in bodies],
        "notes": grid.notes,
    }


def _cell(cell: TableCell | None, metric: str) -> dict[str, Any]:
    if cell is None:
        return {"text": "-", "limits": "", "published": False, "bold": False, "mark": ""}
    shown = {"published": cell.published, "bold": cell.bold, "mark": cell.mark}
    if cell.published:
        return shown | {"text": cell.text, "limits": ""}
    estimate, low, high = cell_numbers(cell, metric)
    return shown | {"text": estimate, "limits": f"[{low}, {high}]"}


def _origin(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return when and by which command a run was made; empty if its run.json does not say."""
    return str(facts.get("created") or ""), str(facts.get("command") or "")


def _alert(alert: Alert, folder: Path) -> dict[str, str]:
    link = "" if alert.traceback is None else relative_link(alert.traceback, folder)
    return {"text": alert.text, "link": link}


def _results(summary: Summary) -> dict[str, Any]:
    means = summary.level("suite", "benchmark", "overall")
    rows_of = chart_data.iter_rows
    return {
        "state": _state(summary),
        "headline": [_headline(row) for row in rows_of(chart_data.widest_rows(summary))],
        # The overview already says what is missing.
        "footnote": [line for line in footnote(summary) if not line.startswith("INCOMPLETE")],
        "means": [_row(row) for row in rows_of(means)],
        "pooled": chart_data.pools_seeds(summary.rows),
        "by_task": [
            {
                "suite": suite,
                "protocol": protocol,
                "rows": [
                    _row(row) for row in rows_of(tasks.sort_values("position", kind="stable"))
                ],
            }
            for (suite, protocol), tasks in chart_data.by_suite(summary.level("task"))
        ],
    }


def _state(summary: Summary) -> dict[str, Any]:
    """Return how many of the planned episodes have a score."""
    tasks = summary.level("task")
    scored, errors, missing = (int(tasks[name].sum()) for name in ("n", "errors", "missing"))
    wanted = scored + errors + missing
    if summary.complete and scored == wanted:
        text = f"all {wanted} episodes have a score."
    elif summary.complete:
        text = f"{scored} of {wanted} episodes have a score; the others cannot change the result."
    else:
        text = (
            f"{scored} of {wanted} episodes have a score; {errors} ended in an error and "
            f"{missing} have not been played. The numbers below may still change. Run the same "
            "command again to play them."
        )
    return {
        "complete": summary.complete,
        "text": text,
        "scored": scored,
        "wanted": wanted,
        "share": f"{100 * scored / wanted if wanted else 100:.2f}",
    }


def _headline(row: Any) -> dict[str, Any]:
    rate, _, limits = percent(row.success, row.success_low, row.success_high).partition(" ")
    return {
        "policy": row.policy,
        "scope": chart_data.scope_label(row),
        "there": row.n > 0,
        "rate": rate,
        "limits": limits,
        "n": row.n,
        "wanted": row.n + row.errors + row.missing,
        "errors": row.errors,
        "missing": row.missing,
    }


def _row(row: Any) -> dict[str, Any]:
    names = ("policy", "level", "task", "protocol", "tasks", "n", "errors", "missing", "seeds")
    return {
        **{name: getattr(row, name) for name in names},
        "scope": chart_data.scope_label(row),
        "success": percent(row.success, row.success_low, row.success_high),
        "progress": score(row.progress, row.progress_low, row.progress_high),
        "steps": _number(row.steps, 0),
    }


def _charts(summary: Summary) -> dict[str, Any]:
    """Return the figures as SVG; the same functions draw the PNG and PDF files."""
    with plot_settings():
        markers = enumerate(plots.marker_figures(summary).values())
        drawn = {
            "success_charts": (
                plots.success_plots(summary, CHART_WIDTH, legend=False)
                if summary.level("task")["n"].sum()
                else ()
            ),
            "cost_charts": plots.cost_plots(summary, CHART_WIDTH, legend=False, most=1),
            "outcome_charts": plots.outcome_plots(summary, CHART_WIDTH),
            "step_charts": plots.step_plots(summary, CHART_WIDTH),
        }
        symbols = symbols_svg({f"marker-{index}": figure for index, figure in markers})
        charts = {
            name: [_chart(f"{name}-{index}", plot) for index, plot in enumerate(some)]
            for name, some in drawn.items()
        }
    return {"symbols": symbols, **charts}


def _chart(name: str, plot: plots.Plot) -> dict[str, Any]:
    title = " ".join(filter(None, (plot.title, plot.suite, plot.protocol)))
    svg = figure_svg(plot.figure, name, title, plot.text)
    return {"suite": plot.suite, "protocol": plot.protocol, "svg": svg}


def _tables(summary: Summary) -> dict[str, Any]:
    costs, subgoals = chart_data.policy_costs(summary), chart_data.subgoal_counts(summary)
    shares = [f"{100 * row.reached / row.episodes:.1f}" for row in chart_data.iter_rows(subgoals)]
    return {
        "costs": [
            {
                "policy": row.policy,
                "suite": row.suite,
                "success": percent(row.success, row.success_low, row.success_high),
                **{name: _number(getattr(row, name), 2) for name in _COSTS},
            }
            for row in chart_data.iter_rows(costs)
        ],
        "reasons": chart_data.end_reasons(summary).to_dict("records"),
        "subgoals": subgoals.assign(share=shares).to_dict("records"),
    }


def _spent(summary: Summary, cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return {"parts": [], "cost_lines": []}
    parts = cost.parts[cost.parts["wall_s"].abs() + cost.parts["cpu_s"].abs() > 0].copy()
    total = parts.groupby(["policy", "benchmark"], observed=True)["wall_s"].transform("sum")
    share = 100 * parts["wall_s"] / total
    parts["share"] = ["-" if pd.isna(value) else f"{value:.0f} %" for value in share]
    for name in ("wall_s", "cpu_s", "gpu_s"):
        parts[name] = [_number(value, 1) for value in parts[name]]
    return {"parts": parts.to_dict("records"), "cost_lines": cost.lines}


def _run(run: Run, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a run's run.json, without its protocols."""
    plans, starts = run.plans, len(run.sessions())
    benchmarks = [
        f"{request['name']} under {request['protocol']}, {len(request['tasks'])} tasks, "
        f"{plan['episodes']} episodes of each"
        for plan in plans
        for request in plan["benchmarks"]
    ]
    shown = {
        "policies": ", ".join(facts["policies"]),
        "benchmarks": "; ".join(dict.fromkeys(benchmarks)),
        "seed": ", ".join(dict.fromkeys(str(plan["seed"]) for plan in plans)),
        "code": facts.get("git") or "unknown git commit",
        "versions": ", ".join(f"{name} {v}" for name, v in facts["versions"].items()),
        "created": facts.get("created", "unknown"),
        "started": f"{starts} times" if starts else "unknown",
    }
    return {"path": str(run.path), "facts": shown}


def _protocols(facts: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield every protocol once; the hash in a label stands for its rules."""
    cards = {label: card for each in facts for label, card in each["protocols"].items()}
    for label, card in cards.items():
        rules, sources = card["rules"], card.get("sources", {})
        yield {
            "label": label,
            "rules": [
                {
                    "name": name,
                    "value": json.dumps(rules[name]) if name in rules else "",
                    "source": sources.get(name, ""),
                }
                for name in dict.fromkeys([*rules, *sources])
            ],
        }


def _listed(names: Sequence[str], noun: str) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} {noun}"


def _soft(text: object) -> Markup:
    """Return a name, escaped, with line breaks allowed after `_`, `/` and `@`."""
    return Markup("").join(
        part + Markup("<wbr>") if part in ("_", "/", "@") else part
        for part in map(escape, re.split("([_/@])", str(text)))
    )


def _number(value: float, digits: int) -> str:
    """Return a number, or a dash for nan."""
    return f"{value:.{digits}f}" if pd.notna(value) else "-"
