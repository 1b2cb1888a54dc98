"""Tables compile with pdflatex, whatever their names are."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.report.paper.formats import grid_markdown
from harness.report.paper.grid import make_grid
from harness.report.paper.latex import escape, latex
from harness.report.paper.layout import TableLayout, layout_names, load_layout
from harness.report.summary import Summary
from tests.helpers.runs import summary_of, write_run

HOSTILE = r"a_b%&<x>\input{/etc/passwd}$^~#{}[1]*|`'" + '"--π0.5 é Ł 中'
PREAMBLE = r"""\documentclass{article}
\usepackage{booktabs,graphicx}
\begin{document}
"""

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")


def compiled(folder: Path, tables: list[str]) -> str:
    """Compile tables, one per page, and return the log; a TeX error fails the test."""
    body = "\n\\clearpage\n".join(tables)
    (folder / "t.tex").write_text(f"{PREAMBLE}{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
    return (folder / "t.log").read_text(errors="replace")


def sample(folder: Path, layout: TableLayout) -> Summary:
    """Return runs for every place of a layout; a suite has two tasks."""
    families: dict[str, dict[str, list[str]]] = {}
    for place in layout.places:
        suite, _, task = place.ours.partition("/")
        if suite:
            tasks = [task] if task else [f"{suite}_0", f"{suite}_1"]
            families.setdefault(suite.partition("_")[0], {}).setdefault(suite, []).extend(tasks)
    names = [f"e0@1{policy.ours.strip('*')}" for policy in layout.policies] or ["mine", HOSTILE]
    names += [ours.strip("*") for less in layout.differences for ours in less.ours.split(" - ")]
    return summary_of(
        *(
            write_run(
                folder / layout.name / family,
                names,
                suites,
                lambda policy, task, k: float((len(policy) + len(task) + k) % 3 > 0),
                f"{family}/card_1@ab12",
                episodes=4,
            )
            for family, suites in families.items()
        )
    )


@needs_latex
def test_every_shipped_layout_compiles_and_fits(tmp_path: Path) -> None:
    tables = []
    for name in layout_names():
        layout = load_layout(name)
        tables.append(latex(make_grid(sample(tmp_path, layout), layout, reference=True)))
    log = compiled(tmp_path, tables)
    assert "Overfull \\hbox" not in log
    assert "multiply defined" not in log


def test_no_text_becomes_a_command() -> None:
    safe = escape(HOSTILE)
    assert r"a\_b\%\&\textless{}x\textgreater{}\textbackslash{}input\{" in safe
    assert r"\ensuremath{\pi}0.5 é Ł U+4E2D" in safe
    assert "--" not in safe
    assert escape("a\n\\\\ b\t c") == r"a \textbackslash{}\textbackslash{} b c"
    assert escape("π ± Ω ﬁ Þ") == r"\ensuremath{\pi} \ensuremath{\pm} U+03A9 U+FB01 U+00DE"


@needs_latex
def test_hostile_names_compile_and_print_as_they_are(tmp_path: Path) -> None:
    layout = load_layout("e0-table-10")
    text = latex(make_grid(sample(tmp_path, layout), layout))
    assert r"\input" not in text
    every = "".join(map(chr, [*range(32, 0x17F), *range(0x370, 0x400), *range(0x2000, 0x2040)]))
    names = r"\par ".join(escape(every[i : i + 40]) for i in range(0, len(every), 40))
    compiled(tmp_path, [text, names])
    reader = shutil.which("pdftotext")
    if reader:
        subprocess.run([reader, "-layout", "t.pdf"], cwd=tmp_path, check=True)
        assert "a b%&<x>\\input{/etc/passwd}$" in (tmp_path / "t.txt").read_text().replace("_", " ")


def test_cells_and_notes_are_complete(tmp_path: Path) -> None:
    layout = load_layout("e0-table-10")
    text = latex(make_grid(sample(tmp_path, layout), layout, reference=True))
    assert r"\label{tab:e0-table-10}" in text
    assert r"\caption{Success rates on ManiSkill.}" in text
    assert r"$_{" in text
    assert r"\textit{\ensuremath{\pi}0.5}\textsuperscript{" in text
    assert "n = 4" in text
    assert "maniskill-simulator 1.2" in text
    assert r"maniskill/\allowbreak{}card\_\allowbreak{}1@\allowbreak{}ab12" in text


def test_markdown_keeps_names_as_they_are(tmp_path: Path) -> None:
    layout = load_layout("e0-table-10")
    lines = grid_markdown(make_grid(sample(tmp_path, layout), layout)).splitlines()
    row = next(line for line in lines if "passwd" in line)
    assert r"a\_b%&amp;&lt;x>\\input{/etc/passwd}$^~#{}\[1\]\*\|\`'" in row
    assert any("(p < 0.05, Holm-corrected)" in line for line in lines)
