"""A protocol's note is shown with its numbers and forbids published numbers beside them."""

import json
from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.report.markdown import summary_markdown
from harness.report.paper.formats import grid_markdown
from harness.report.paper.grid import make_grid
from harness.report.paper.layout import load_layout
from harness.report.summary import Summary, summarise
from harness.runs.folder import Run
from tests.helpers.runs import write_run

NOTE = "made of paper, comparable to nothing"
LABEL = "fam/card@1"
PUBLISHED = """source,table,method,benchmark,suite,task,arm,metric,value,n,protocol,kind,note
paper,Table 1,Theirs,fam,fam_one,,,success,50.0,10,as theirs,cell,
"""


def noted(path: Path) -> Run:
    """Write a run whose protocol has a note."""
    write_run(path, ["a"], {"fam_one": ["t0"]}, lambda *_: 1.0, protocol=LABEL)
    facts = json.loads((path / "run.json").read_text())
    facts["protocols"][LABEL]["note"] = NOTE
    (path / "run.json").write_text(json.dumps(facts))
    return Run.existing(path)


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return summarise([noted(tmp_path / "run")])


def test_every_table_shows_the_note(summary: Summary, tmp_path: Path) -> None:
    sentence = f"{LABEL}: {NOTE}."
    assert sentence in summary_markdown(summary)
    layout = tmp_path / "mine.yaml"
    layout.write_text("title: One\nplaces:\n  - {label: One, ours: fam_one}\n")
    assert sentence in grid_markdown(make_grid(summary, load_layout(str(layout))))
    command = ["report", str(tmp_path / "run"), "--out", str(tmp_path / "report"), "--format"]
    assert run_eval.main([*command, "html"]) == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert NOTE in page


def test_a_comparison_shows_the_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noted(tmp_path / "one")
    write_run(tmp_path / "two", ["b"], {"fam_one": ["t0"]}, lambda *_: 0.5, protocol=LABEL)
    assert run_eval.main(["compare", str(tmp_path / "two"), str(tmp_path / "one")]) == 0
    assert f"- {LABEL}: {NOTE}." in capsys.readouterr().out


def test_published_numbers_are_refused_in_its_place(summary: Summary, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "paper.csv").write_text(PUBLISHED)
    layout = tmp_path / "mine.yaml"
    text = "title: One\nplaces:\n  - label: One\n    ours: fam_one\n"
    layout.write_text(text + "    published: {benchmark: fam, suite: fam_one}\n")
    shared = load_layout(str(layout))
    message = rf"One: numbers of {LABEL} \({NOTE}\) .*remove `published` from this place"
    with pytest.raises(UsageError, match=message):
        make_grid(summary, shared, reference=True, folder=reference)
    make_grid(summary, shared, reference=False, folder=reference)
    layout.write_text(text)
    make_grid(summary, load_layout(str(layout)), reference=True, folder=reference)
