r"""Writes a table as LaTeX for pdflatex; it needs the packages booktabs and graphicx.

Small limits behind each number show its interval, so that fourteen columns fit a page. LaTeX
shrinks a table that is still too wide. A table with many rows is split into two halves.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.report.labels import without_digest
from harness.report.paper.cells import Grid, TableCell, TableHeader, cell_numbers

WIDE = 7
"""Columns above which a table spans both columns of a two-column paper."""
LONG = 36
"""Rows above which a table is split into two halves, side by side."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # At the start of a row, a bracket or a star would be an argument of the line break before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}
"""LaTeX's own special characters."""

_MATH = {
    "π": r"\pi",
    "±": r"\pm",
    "\N{MULTIPLICATION SIGN}": r"\times",
    "\N{MINUS SIGN}": "-",
    "≤": r"\leq",
    "≥": r"\geq",
    "→": r"\rightarrow",
}
"""Characters of published tables and policy names that pdflatex prints only as math."""

_PRINTABLE = re.compile(
    "[ -~\N{EN DASH}\N{EM DASH}\N{DAGGER}\N{HORIZONTAL ELLIPSIS}]"
    "|(?![ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų])[À-ž]"
)
"""ASCII, and the letters of European languages that pdflatex's default font has."""


def escape(text: str) -> str:
    """Escape any text for LaTeX.

    A character that pdflatex cannot print becomes its code point, e.g. U+4E2D.
    """
    # Two hyphens in a row would print as one dash.
    text = " ".join(text.split())
    return re.sub("-(?=-)", "-{}", "".join(map(_character, text)))


def latex(grid: Grid) -> str:
    """Return a grid as a table environment.

    A policy that has no label is named without the digest of its weights, if that is unambiguous.
    """
    grid = replace(grid, rows=_shortened(grid.rows), columns=_shortened(grid.columns))
    wide = len(grid.columns) > WIDE
    star = "*" if wide else ""
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        rf"\begin{{table{star}}}[t]",
        r"\centering",
        rf"\caption{{{escape(grid.title)}.}}",
        rf"\label{{tab:{grid.name}}}",
        r"\footnotesize" if len(grid.rows) > LONG else r"\small",
        # Without it the limits of two rows would touch.
        r"\renewcommand{\arraystretch}{1.25}",
        *([r"\setlength{\tabcolsep}{2.5pt}"] if wide or len(grid.rows) > LONG else []),
        # LaTeX leaves no space between a caption and the table.
        r"\par\smallskip",
        r"\sbox0{%",
        *_panels(grid),
        "}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
        *_notes(grid),
        rf"\end{{table{star}}}",
    ]
    return "\n".join(lines) + "\n"


def _shortened(headers: Sequence[TableHeader]) -> tuple[TableHeader, ...]:
    """Return the headers without the digests of policies whose names stay unique."""
    known = {(header.label, header.name) for header in headers}
    labels = [label for label, _ in known] + [without_digest(label) for label, _ in known]
    return tuple(
        replace(header, label=short)
        if header.policy
        and header.label == header.name
        and labels.count(short := without_digest(header.label)) == 1
        else header
        for header in headers
    )


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character in _MATH:
        return rf"\ensuremath{{{_MATH[character]}}}"
    return character if _PRINTABLE.match(character) else f"U+{ord(character):04X}"


def _panels(grid: Grid) -> Iterator[str]:
    """Yield the tabular, or two of them side by side."""
    if len(grid.rows) <= LONG:
        yield from _tabular(grid, 0, len(grid.rows))
        return
    middle = _middle(grid.rows)
    yield from _tabular(grid, 0, middle)
    yield r"\qquad"
    yield from _tabular(grid, middle, len(grid.rows))


def _middle(rows: Sequence[TableHeader]) -> int:
    """Return where to split the rows: at the start of a group, if one is near the middle."""
    half = (len(rows) + 1) // 2
    starts = [i for i in range(1, len(rows)) if rows[i].group != rows[i - 1].group]
    near = [i for i in starts if abs(i - half) <= len(rows) // 8]
    return min(near, key=lambda i: abs(i - half)) if near else half


def _tabular(grid: Grid, first: int, last: int) -> Iterator[str]:
    yield rf"\begin{{tabular}}[t]{{l{'c' * len(grid.columns)}}}"
    yield r"\toprule"
    yield from _headers(grid)
    yield r"\midrule"
    group = ""
    for index in range(first, last):
        row = grid.rows[index]
        if row.group != group:
            if index > first:
                yield r"\midrule"
            if row.group:
                wide = len(grid.columns) + 1
                yield rf"\multicolumn{{{wide}}}{{l}}{{{escape(row.group)}}} \\"
            group = row.group
        indent = r"\quad " if group else ""
        cells = zip(grid.cells[index], grid.columns, strict=True)
        shown = (_cell(cell, grid.metric_at(row, c)) for cell, c in cells)
        yield " & ".join([indent + _label(row), *shown]) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}%"


def _headers(grid: Grid) -> Iterator[str]:
    """Yield the line of groups, if there are any, and the line of columns."""
    groups, rules = _groups(grid.columns)
    if rules:
        yield " & ".join(["", *groups]) + r" \\"
        yield " ".join(rules)
    yield " & ".join([escape(grid.head), *map(_label, grid.columns)]) + r" \\"


def _groups(columns: Sequence[TableHeader]) -> tuple[list[str], list[str]]:
    """Return the cells of the line of groups, and the rules below it."""
    cells, rules, start = [], [], 0
    while start < len(columns):
        end = start
        while end < len(columns) and columns[end].group == columns[start].group:
            end += 1
        name, width = columns[start].group, end - start
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{start + 2}-{end + 1}}}")
        start = end
    return cells, rules


def _label(header: TableHeader) -> str:
    label = escape(header.label)
    return (rf"\textit{{{label}}}" if header.published else label) + _mark(header.mark)


def _cell(cell: TableCell | None, metric: str) -> str:
    if cell is None:
        return "--"
    if cell.published:
        return rf"\textit{{{_number(cell.text)}}}{_mark(cell.mark)}"
    estimate, low, high = cell_numbers(cell, metric)
    estimate = _number(estimate)
    shown = rf"\textbf{{{estimate}}}" if cell.bold else estimate
    # Behind the limits, the mark would look like a part of the upper limit.
    return f"{_mark(cell.mark)}{shown}$_{{{low}}}^{{{high}}}$"


def _number(text: str) -> str:
    """Return a number with a minus sign in place of a hyphen."""
    return escape(text.replace("-", "\N{MINUS SIGN}"))


def _mark(mark: str) -> str:
    return rf"\textsuperscript{{{escape(mark)}}}" if mark else ""


def _notes(grid: Grid) -> Iterator[str]:
    yield r"\par\smallskip"
    yield r"\begin{minipage}{\linewidth}\scriptsize\raggedright"
    general = [text for mark, text in grid.notes if not mark]
    yield " ".join(map(_breakable, general))
    marked = [f"{_mark(mark)}{_breakable(text)}" for mark, text in grid.notes if mark]
    if marked:
        yield r"\par " + "\n".join(marked)
    yield r"\end{minipage}"


def _breakable(text: str) -> str:
    """Escape a sentence and allow line breaks within protocol labels and task names."""
    escaped = escape(text)
    for character in ("/", "@", r"\_"):
        escaped = escaped.replace(character, character + r"\allowbreak{}")
    return escaped
