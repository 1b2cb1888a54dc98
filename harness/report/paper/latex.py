r"""A table as LaTeX that compiles with plain pdflatex: it needs booktabs and graphicx, no more.

An interval stands as small limits behind its number, so that fourteen columns fit a page; a table
that is too wide all the same is shrunk by TeX, and one with many rows stands in two halves.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from harness.report.paper.grid import Cell, Grid, Head, numbers

WIDE = 7
"""Columns past which a table spans both columns of a two-column paper."""
LONG = 36
"""Rows past which a table is set in two halves, side by side."""

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # At the start of a row, a bracket or a star would belong to the line break before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\N{EN DASH}": r"\textendash{}",
    "—": r"\textemdash{}",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "·": r"\ensuremath{\cdot}",
    "\N{MULTIPLICATION SIGN}": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "→": r"\ensuremath{\rightarrow}",
    "†": r"\ensuremath{\dagger}",
    "°": r"\ensuremath{^\circ}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}",
} | {c: f"\\{c}" for c in "&%$#_{}"}
"""What a character becomes."""

ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}

GREEK = (
    *("ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON", "ZETA", "ETA", "THETA", "IOTA", "KAPPA"),
    *("LAMBDA", "MU", "NU", "XI", "OMICRON", "PI", "RHO", "SIGMA", "TAU", "UPSILON", "PHI"),
    *("CHI", "PSI", "OMEGA"),
)
LATIN = {"ALPHA": "A", "BETA": "B", "EPSILON": "E", "ZETA": "Z", "ETA": "H", "IOTA": "I"}
LATIN |= {"KAPPA": "K", "MU": "M", "NU": "N", "RHO": "P", "TAU": "T", "CHI": "X"}


def escape(text: str) -> str:
    """Return any text so that LaTeX prints it and does nothing else.

    A character that plain pdflatex cannot print becomes its code point, which nobody overlooks.
    """
    # Two hyphens in a row would print as one dash.
    text = " ".join(text.split())
    return re.sub("-(?=-)", "-{}", "".join(map(_character, text)))


def latex(grid: Grid) -> str:
    """Return a grid as a table environment."""
    wide = len(grid.columns) > WIDE
    star = "*" if wide else ""
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        rf"\begin{{table{star}}}[t]",
        r"\centering",
        rf"\caption{{{escape(grid.title)}.}}",
        rf"\label{{tab:{grid.name}}}",
        r"\footnotesize" if len(grid.rows) > LONG else r"\small",
        # The limits of two rows would touch otherwise.
        r"\renewcommand{\arraystretch}{1.25}",
        *([r"\setlength{\tabcolsep}{2.5pt}"] if wide or len(grid.rows) > LONG else []),
        # LaTeX leaves no room between a caption and what follows it.
        r"\par\smallskip",
        r"\sbox0{%",
        *_panels(grid),
        "}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
        *_notes(grid),
        rf"\end{{table{star}}}",
    ]
    return "\n".join(lines) + "\n"


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if " " <= character <= "~":
        return character
    name = unicodedata.name(character, "")
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)", name)
    if greek and greek[2].replace("LAMDA", "LAMBDA") in GREEK:
        return _greek(greek[1] == "CAPITAL", greek[2].replace("LAMDA", "LAMBDA"))
    parts = unicodedata.normalize("NFKD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    if parts != character:
        return "".join(map(_character, parts))
    return f"U+{ord(character):04X}"


def _greek(capital: bool, name: str) -> str:
    """Return a Greek letter; those that look Latin have no command of their own."""
    if name == "OMICRON":
        return "O" if capital else "o"
    if not capital:
        return rf"\ensuremath{{\{name.lower()}}}"
    return LATIN.get(name) or rf"\ensuremath{{\{name.capitalize()}}}"


def _panels(grid: Grid) -> Iterator[str]:
    """Return the tabular, or two of them side by side."""
    if len(grid.rows) <= LONG:
        yield from _tabular(grid, 0, len(grid.rows))
        return
    middle = _middle(grid.rows)
    yield from _tabular(grid, 0, middle)
    yield r"\qquad"
    yield from _tabular(grid, middle, len(grid.rows))


def _middle(rows: Sequence[Head]) -> int:
    """Return where to split the rows: where a group starts, if one does near the middle."""
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
        head = grid.rows[index]
        if head.group != group:
            if index > first:
                yield r"\midrule"
            if head.group:
                wide = len(grid.columns) + 1
                yield rf"\multicolumn{{{wide}}}{{l}}{{{escape(head.group)}}} \\"
            group = head.group
        indent = r"\quad " if group else ""
        cells = zip(grid.cells[index], grid.columns, strict=True)
        shown = (_cell(cell, grid.measured(head, c)) for cell, c in cells)
        yield " & ".join([indent + _label(head), *shown]) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}%"


def _headers(grid: Grid) -> Iterator[str]:
    """Return the line of the groups, if there are any, and that of the columns."""
    groups, rules = _groups(grid.columns)
    if rules:
        yield " & ".join(["", *groups]) + r" \\"
        yield " ".join(rules)
    yield " & ".join([escape(grid.head), *map(_label, grid.columns)]) + r" \\"


def _groups(columns: Sequence[Head]) -> tuple[list[str], list[str]]:
    """Return the cells of the line of groups, and the rules beneath it."""
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


def _label(head: Head) -> str:
    label = escape(head.label)
    return (rf"\textit{{{label}}}" if head.published else label) + _mark(head.mark)


def _cell(cell: Cell | None, metric: str) -> str:
    if cell is None:
        return "--"
    if cell.published:
        return rf"\textit{{{_number(cell.text)}}}{_mark(cell.mark)}"
    estimate, low, high = numbers(cell, metric)
    estimate = _number(estimate)
    shown = rf"\textbf{{{estimate}}}" if cell.bold else estimate
    # The mark goes first, since behind the limits it would read as a part of the upper one.
    return f"{_mark(cell.mark)}{shown}$_{{{low}}}^{{{high}}}$"


def _number(text: str) -> str:
    """Return a number with a minus sign and not a hyphen."""
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
    """Escape a sentence, and let the lines break within protocols' labels and task names."""
    escaped = escape(text)
    for character in ("/", "@", r"\_"):
        escaped = escaped.replace(character, character + r"\allowbreak{}")
    return escaped
