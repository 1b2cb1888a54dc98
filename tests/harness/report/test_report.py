"""The report command: the files it writes for one run and for several."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.report.markdown import summary_markdown
from harness.report.paper.layout import load_layout
from harness.report.summary import summarise
from harness.report.write import write_report
from harness.runs.folder import Run
from tests.helpers.runs import BAD, listed_run

pytestmark = pytest.mark.usefixtures("points")


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Two runs of one policy each on the same scenes."""
    for policy in ("homing", "random"):
        command = ["run", "--policy", policy, "--benchmark", "points_two", "--episodes", "3"]
        assert run_eval.main([*command, "--out", str(tmp_path / policy)]) == 0
    return [str(tmp_path / "homing"), str(tmp_path / "random")]


def test_a_run_writes_its_tables_and_its_page(runs: list[str]) -> None:
    tables = {path.name for path in (Path(runs[0]) / "tables").iterdir()}
    assert tables == {"summary.csv", "summary.md", "cost.csv", "cost.md", "report.html"}


@pytest.mark.slow
def test_two_runs_of_the_same_plan_write_the_same_bytes(runs: list[str], tmp_path: Path) -> None:
    command = ["run", "--policy", "homing", "--benchmark", "points_two", "--episodes", "3"]
    again = tmp_path / "again"
    assert (
        run_eval.main([*command, "--tasks", "1", "0", "--workers", "2", "--out", str(again)]) == 0
    )
    for name in ("summary.csv", "summary.md"):
        first, second = (Path(run) / "tables" / name for run in (runs[0], again))
        assert first.read_bytes() == second.read_bytes()


def test_several_runs_give_one_report(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "both"
    formats = ["--format", "md,csv,tex,html", "--plots", "--out", str(out)]
    capsys.readouterr()
    assert run_eval.main(["report", *runs, *formats]) == 0
    summary = summarise([Run.existing(Path(run)) for run in runs])
    assert summary_markdown(summary) in capsys.readouterr().out
    assert set(summary.rows["policy"]) == {"homing", "random"}
    written = {path.name for path in out.iterdir()}
    assert written >= {"summary.md", "success.tex", "progress.tex", "report.html", "figures"}
    assert list((out / "figures").glob("*.pdf"))


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        ("md", {"summary.md", "cost.md"}),
        ("csv", {"summary.csv", "cost.csv"}),
        ("tex", {"success.tex", "progress.tex"}),
        ("html", {"report.html"}),
    ],
)
def test_only_the_requested_formats_are_written(
    runs: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    formats: str,
    expected: set[str],
) -> None:
    out = tmp_path / "made" / "here"
    assert run_eval.main(["report", runs[0], "--format", formats, "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == expected
    assert "| homing" in capsys.readouterr().out, "the tables are always printed"
    assert run_eval.main(["report", runs[0], "--format", "md,latex", "--out", str(out)]) == 2
    assert "unknown format 'latex'" in capsys.readouterr().err


def test_a_layout_is_written_in_every_format(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = tmp_path / "mine.yaml"
    layout.write_text("title: Mine\nplaces:\n  - {label: Two, ours: points_two}\n")
    out = tmp_path / "out"
    formats = ["--layout", str(layout), "--format", "md,csv,tex,html", "--out", str(out)]
    assert run_eval.main(["report", *runs, *formats]) == 0
    assert "| homing" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        f"mine.{ending}" for ending in ("md", "csv", "tex", "html")
    }
    assert run_eval.main(["report", *runs, "--layout", "e0-table-9"]) == 2
    assert "did you mean e0-table-09" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    (tmp_path / "file").write_text("")
    assert run_eval.main(["report", runs[0], "--out", str(tmp_path / "file" / "in")]) == 2
    printed = capsys.readouterr().err.strip()
    assert printed == (
        f"error: cannot write to {tmp_path}/file/in: Not a directory; choose another --out"
    )
    (tmp_path / "out" / "summary.md").mkdir(parents=True)
    assert run_eval.main(["report", runs[0], "--out", str(tmp_path / "out")]) == 2
    assert "summary.md: Is a directory; choose another --out" in capsys.readouterr().err


def test_a_layout_on_the_screen_has_the_warnings(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"mine": {"left": [BAD]}}, 1, reason="policy_nan: nan")
    layout = tmp_path / "mine.yaml"
    layout.write_text("title: Mine\nplaces:\n  - {label: Two, ours: points_two}\n")
    written = write_report([run], tmp_path / "out", ["md"], load_layout(str(layout)))
    assert written.text.startswith("> WARNING: 1 of 1 episodes of mine failed")
    assert "WARNING" not in (tmp_path / "out" / "mine.md").read_text(), "the file is for the paper"


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (
            "harness.report.paper.layout, harness.runs.plan, harness.runs.folder",
            {"jinja2", "matplotlib", "pandas", "scipy", "statsmodels"},
        ),
        ("harness.report.write", {"jinja2", "matplotlib"}),
    ],
)
def test_large_packages_are_imported_only_where_they_are_used(
    modules: str, unwanted: set[str]
) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert unwanted.isdisjoint(done.stdout.split())
