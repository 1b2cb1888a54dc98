"""The report as one HTML file that needs no network and runs no script."""

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

from harness.report.cost import Cost
from harness.report.html import charts, figures
from harness.report.html.episode_list import tell
from harness.report.markdown import footnote, percent, score
from harness.report.paper.grid import Cell, Grid, numbers
from harness.report.summary import Summary
from harness.runs.folder import Run

HERE = Path(__file__).parent
SECTIONS = (
    ("overview", "Overview"),
    ("results", "Results"),
    ("tasks", "Success by task"),
    ("price", "Success against cost"),
    ("ends", "Where episodes end"),
    ("episodes", "Episodes"),
    ("spent", "What the runs cost"),
    ("facts", "What was run"),
)
COSTS = ("ms_action", "ms_chunk", "evaluations", "policy_s", "cpu_s", "gpu_s", "wall_s")


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
        runs: Those that were summed up; films are looked for in their folders.
        summary: What they found.
        cost: What they cost; None if there are no episodes.
        target: The HTML file. Films are linked relative to its folder.
        embed_videos: Put films into the file, up to a size, so that it can be sent to somebody.
        grid: A layout's table, to stand above everything else.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    text = page(runs, summary, cost, target.parent, embed_videos, grid)
    target.write_text(text, encoding="utf-8")


def page(
    runs: Sequence[Run],
    summary: Summary,
    cost: Cost | None,
    folder: Path,
    embed_videos: bool,
    grid: Grid | None,
) -> str:
    """Return the report as HTML that lies in `folder`."""
    # Every value is escaped unless it says that it is markup, and only the style sheet does.
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["soft"] = soft
    css = (HERE / "page.css").read_text(encoding="utf-8")
    styles = charts.styles(figures.policies(summary))
    values: dict[str, Any] = {
        "title": f"Evaluation of {_listed(figures.policies(summary), 'policies')}",
        "css": Markup(css),
        "policy_of_content": _policy_of_content(css),
        "sections": SECTIONS if grid is None else (("table", "Table"), *SECTIONS),
        "grid": None if grid is None else _table(grid),
        "styles": styles,
        "markers": charts.MARKERS,
        "outcome_names": figures.OUTCOMES,
    }
    values |= _results(summary) | _charts(summary) | _spent(summary, cost)
    values["stories"] = tell(runs, summary.episodes, folder, embed_videos)
    values["runs"] = [_run(run, facts) for run, facts in zip(runs, summary.facts, strict=True)]
    values["protocols"] = list(_protocols(summary.facts))
    return environment.get_template("page.jinja").render(values)


def _policy_of_content(css: str) -> str:
    """Forbid everything but this style sheet and films that lie beside the page or in it.

    `file:` is for browsers in which a page from the disk is not `self`.
    """
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; media-src 'self' file: data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _table(grid: Grid) -> dict[str, Any]:
    """Return a layout's table as text, its rows and columns by their groups."""
    rows = [
        (
            head,
            [
                _cell(cell, grid.measured(head, column))
                for cell, column in zip(cells, grid.columns, strict=True)
            ],
        )
        for head, cells in zip(grid.rows, grid.cells, strict=True)
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


def _cell(cell: Cell | None, metric: str) -> dict[str, Any]:
    if cell is None:
        return {"text": "-", "limits": "", "published": False, "bold": False, "mark": ""}
    shown = {"published": cell.published, "bold": cell.bold, "mark": cell.mark}
    if cell.published:
        return shown | {"text": cell.text, "limits": ""}
    estimate, low, high = numbers(cell, metric)
    return shown | {"text": estimate, "limits": f"[{low}, {high}]"}


def _results(summary: Summary) -> dict[str, Any]:
    over = summary.level("suite", "benchmark", "overall")
    return {
        "state": _state(summary),
        "headline": [_headline(row) for row in figures.lines(figures.headline(summary))],
        # What is missing stands above the numbers already.
        "footnote": [line for line in footnote(summary) if not line.startswith("INCOMPLETE")],
        "over": [_row(row) for row in figures.lines(over)],
        "by_task": [
            {
                "suite": suite,
                "protocol": protocol,
                "rows": [
                    _row(row) for row in figures.lines(tasks.sort_values("position", kind="stable"))
                ],
            }
            for (suite, protocol), tasks in figures.arenas(summary.level("task"))
        ],
    }


def _state(summary: Summary) -> dict[str, Any]:
    """Say how much of what was wanted has a score."""
    tasks = summary.level("task")
    scored, errors, missing = (int(tasks[name].sum()) for name in ("n", "errors", "missing"))
    wanted = scored + errors + missing
    if summary.complete and scored == wanted:
        text = f"all {wanted} episodes have a score."
    elif summary.complete:
        text = f"{scored} of {wanted} episodes have a score; it is decided without the rest."
    else:
        text = (
            f"{scored} of {wanted} episodes have a score; {errors} ended in an error and "
            f"{missing} have not been played. The numbers below may still move. Run the same "
            "command again to fill them in."
        )
    return {
        "complete": summary.complete,
        "text": text,
        "scored": scored,
        "wanted": wanted,
        "share": charts.place(scored / wanted if wanted else 1.0),
    }


def _headline(row: Any) -> dict[str, Any]:
    rate, _, limits = percent(row.success, row.success_low, row.success_high).partition(" ")
    return {
        "policy": row.policy,
        "place": figures.place(row),
        "there": row.n > 0,
        "rate": rate,
        "limits": limits,
        "n": row.n,
        "wanted": row.n + row.errors + row.missing,
        "errors": row.errors,
        "missing": row.missing,
    }


def _row(row: Any) -> dict[str, Any]:
    """Return a summary's row as text."""
    names = ("policy", "level", "task", "protocol", "tasks", "n", "errors", "missing")
    return {name: getattr(row, name) for name in names} | {
        "place": figures.place(row),
        "success": percent(row.success, row.success_low, row.success_high),
        "progress": score(row.progress, row.progress_low, row.progress_high),
        "steps": number(row.steps, 0),
    }


def _charts(summary: Summary) -> dict[str, Any]:
    costs, subgoals = figures.costs(summary), figures.subgoals(summary)
    shares = [f"{100 * row.reached / row.episodes:.1f}" for row in figures.lines(subgoals)]
    return {
        "whiskers": charts.whiskers(summary),
        "scatters": charts.scatters(costs),
        "costs": [
            {
                "policy": row.policy,
                "suite": row.suite,
                "success": percent(row.success, row.success_low, row.success_high),
            }
            | {name: number(getattr(row, name), 2) for name in COSTS}
            for row in figures.lines(costs)
        ],
        "ends": charts.ends(figures.outcomes(summary)),
        "reasons": figures.reasons(summary).to_dict("records"),
        "histograms": charts.histograms(summary),
        "subgoals": subgoals.assign(share=shares).to_dict("records"),
    }


def _spent(summary: Summary, cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return {"parts": [], "cost_lines": []}
    parts = cost.parts[cost.parts["wall_s"].abs() + cost.parts["cpu_s"].abs() > 0].copy()
    whole = parts.groupby(["policy", "benchmark"], observed=True)["wall_s"].transform("sum")
    parts["share"] = [f"{v:.0f} %" if v == v else "-" for v in 100 * parts["wall_s"] / whole]
    for name in ("wall_s", "cpu_s", "gpu_s"):
        parts[name] = [number(value, 1) for value in parts[name]]
    return {"parts": parts.to_dict("records"), "cost_lines": cost.lines}


def _run(run: Run, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run's run.json says of it, but for its protocols."""
    plan, starts = facts["plan"], len(run.sessions())
    benchmarks = [
        f"{request['name']} under {request['protocol']}, {len(request['tasks'])} tasks"
        for request in plan["benchmarks"]
    ]
    shown = {
        "policies": ", ".join(facts["policies"]),
        "benchmarks": "; ".join(benchmarks),
        "episodes": f"{plan['episodes']} for each task",
        "seed": plan["seed"],
        "code": facts.get("git") or "no git commit was known",
        "versions": ", ".join(f"{name} {v}" for name, v in facts["versions"].items()),
        "created": facts.get("created", "not noted"),
        "started": f"{starts} times" if starts else "not noted",
    }
    return {"path": str(run.path), "facts": shown}


def _protocols(facts: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Return every protocol once; its hash makes sure that equal labels have equal rules."""
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


def soft(text: object) -> Markup:
    """Return a name, escaped, that may be broken where its words end; copying gives the name."""
    return Markup("").join(
        part + Markup("<wbr>") if part in ("_", "/", "@") else part
        for part in map(escape, re.split("([_/@])", str(text)))
    )


def number(value: float, digits: int) -> str:
    """Return a number, or a dash where there is none."""
    return f"{value:.{digits}f}" if pd.notna(value) else "-"
