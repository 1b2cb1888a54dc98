"""Labels: the names of policies in tables, figures and LaTeX."""

from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.report.frame import read_frame
from harness.report.labels import read_labels, without_digest
from harness.report.markdown import summary_markdown
from harness.report.paper.formats import grid_csv, grid_markdown
from harness.report.paper.grid import make_grid
from harness.report.paper.latex import latex
from harness.report.paper.layout import load_layout, plain_layout
from harness.report.summary import summarise
from harness.runs.folder import Run
from tests.helpers.runs import BAD, GOOD, listed_run, write_run

FLOW, STEPS, E0 = "flow@1a2b3c", "flow,steps=3@1a2b3c", "e0@9f8e7d"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    suites = {"fam_one": ["t0"]}
    names = [FLOW, STEPS, E0]
    return write_run(tmp_path / "run", names, suites, lambda *_: GOOD, ablations=["no-image"])


def test_a_name_may_be_the_identity_or_the_part_before_the_digest(run: Run) -> None:
    assert read_labels(["flow=Flow, ours", f"{E0}=E0"], [run]) == {FLOW: "Flow, ours", E0: "E0"}
    assert read_labels(["flow,steps=3=Fast", f"{FLOW}= a  b "], [run]) == {
        STEPS: "Fast",
        FLOW: "a b",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["flo=Flow"], "unknown policy in --label: 'flo'; did you mean flow"),
        (["flow"], "--label flow is not NAME=TEXT"),
        (["flow= "], "--label flow=  is not NAME=TEXT"),
        (["flow=a", "e0=a"], "two policies would be named 'a'; labels must be unique"),
        (["flow=e0@9f8e7d"], "two policies would be named 'e0@9f8e7d'"),
        (["flow=a", f"{FLOW}=b"], f"--label names {FLOW} twice"),
    ],
)
def test_unusable_labels_are_refused(run: Run, given: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_labels(given, [run])
    assert message in str(error.value)


def test_a_name_that_fits_two_policies_is_refused(tmp_path: Path) -> None:
    ends = {"flow@1a2b": {"left": [GOOD]}, "flow@3c4d": {"left": [BAD]}}
    run = listed_run(tmp_path / "run", ends, 1)
    with pytest.raises(UsageError, match=r"--label flow fits flow@1a2b and flow@3c4d"):
        read_labels(["flow=Flow"], [run])


def test_every_table_shows_the_label_and_its_ablation(run: Run, tmp_path: Path) -> None:
    summary = summarise([run], {FLOW: "Ours"})
    text = summary_markdown(summary)
    assert "| Ours (no-image) " in text
    assert FLOW not in text
    assert E0 in text
    assert set(read_frame([run])["policy"]) >= {FLOW}, "the runs keep the identity"
    # A layout still finds a policy by its identity.
    layout = tmp_path / "mine.yaml"
    places = "title: One\nplaces:\n  - {label: One, ours: fam_one}\npolicies:\n"
    layout.write_text(places + "  - {label: F, ours: 'flow@*'}\n  - {label: E, ours: 'e0@*'}\n")
    grid = make_grid(summary, load_layout(str(layout)))
    assert [(row.label, row.name) for row in grid.rows] == [("F", FLOW), ("E", E0)]
    plain = make_grid(summary, plain_layout("success", [("fam", "fam_one")]))
    assert "| Ours " in grid_markdown(plain)
    assert f",Ours,{FLOW}," in grid_csv(plain)


def test_latex_names_no_digest_if_names_stay_unique(tmp_path: Path) -> None:
    ends = {name: {"left": [GOOD]} for name in ("flow@1a2b", "e0@1a2b", "e0@3c4d", "random")}
    run = listed_run(tmp_path / "run", ends, 1)
    layout = plain_layout("success", [("points", "points_two")])
    text = latex(make_grid(summarise([run]), layout))
    names = [line.split(" & ")[0] for line in text.splitlines() if line.endswith(r"\\")]
    assert names[1:] == ["e0@1a2b", "e0@3c4d", "flow", "random"]
    text = latex(make_grid(summarise([run], {"e0@3c4d": "flow"}), layout))
    assert "flow@1a2b &" in text


def test_only_a_digest_is_left_out() -> None:
    assert without_digest("flow,steps=3@1a2b3c4d5e") == "flow,steps=3"
    assert without_digest("flow@1a2b3c4d5e (no-image)") == "flow (no-image)"
    assert without_digest("user@host") == "user@host"
    assert without_digest("homing") == "homing"


@pytest.mark.usefixtures("points")
def test_the_command_takes_several_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--policy", "homing", "random", "--benchmark", "points_two"]
    assert run_eval.main([*command, "--episodes", "1", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    out = tmp_path / "out"
    report = ["report", str(tmp_path / "run"), "--out", str(out), "--format", "md,csv,tex,html"]
    labels = ["--label", "homing=Our method", "--label", "random=Chance"]
    assert run_eval.main([*report, *labels, "--plots"]) == 0
    printed = capsys.readouterr().out
    assert "| Our method " in printed
    for name in ("summary.md", "summary.csv", "success.tex", "report.html", "cost.md"):
        assert "Our method" in (out / name).read_text(), name
        assert "| homing" not in (out / name).read_text()
    assert run_eval.main([*report, "--label", "homin=x"]) == 2
    assert "did you mean homing" in capsys.readouterr().err
