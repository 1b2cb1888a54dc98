"""The warnings before the numbers, and the note on fast batching."""

import json
from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.report.alerts import Alert, fast_batches, find_alerts
from harness.report.frame import read_frame
from harness.report.markdown import footnote, summary_markdown
from harness.runs.folder import Run
from tests.helpers.runs import BAD, ERROR, GOOD, listed_run, summary_of

NAN = "policy_nan: the actions are not finite"
CRASH = "policy_crash: KeyError: 'state' (mine.py:3)"


def alerts_of(*runs: Run) -> list[Alert]:
    return find_alerts(read_frame(runs))


def test_failures_of_the_policys_own_are_told(tmp_path: Path) -> None:
    ends = {"broken": {"left": [BAD] * 3}}
    run = listed_run(tmp_path / "run", ends, 3, reason=NAN)
    (alert,) = alerts_of(run)
    assert alert.text == (
        "3 of 3 episodes of broken failed because of the policy's own answers (policy_nan: the "
        "actions are not finite). They count as failures. Check the policy before you trust its "
        "success rate."
    )
    text = summary_markdown(summary_of(run))
    assert f"> WARNING: {alert.text}" in text[: text.index("| policy")]


def test_a_crash_of_the_policy_is_not_an_error_of_the_simulator(tmp_path: Path) -> None:
    crashed = listed_run(tmp_path / "1", {"mine": {"left": [ERROR] * 2}}, 2, reason=CRASH)
    lost = listed_run(tmp_path / "2", {"other": {"left": [GOOD, ERROR]}}, 2)
    first, second = alerts_of(crashed, lost)
    assert first.text.startswith(
        "2 of 2 episodes of mine stopped because the policy's code raised an exception "
        "(KeyError: 'state' (mine.py:3)). They have no score"
    )
    assert "simulator" not in first.text
    assert second.text.startswith(
        "1 of 2 episodes of other ended in an error of the simulator or of a worker, not of the "
        "policy (OSError: <b>gone). They have no score"
    )


def test_the_traceback_of_the_most_frequent_error_is_named(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"mine": {"left": [ERROR] * 2}}, 2, reason=CRASH)
    assert alerts_of(run)[0].traceback is None
    key = list(run.records())[1]
    path = run.path / "errors" / f"{key}.txt"
    path.parent.mkdir()
    path.write_text("Traceback")
    assert alerts_of(run)[0].traceback == path
    assert f"Traceback: `{path}`" in summary_markdown(summary_of(run))


def test_the_most_frequent_reason_is_told(tmp_path: Path) -> None:
    runs = [
        listed_run(tmp_path / str(n), {"mine": {"left": [ERROR] * n}}, n, reason=reason, seed=n)
        for n, reason in ((1, "OSError: rare"), (3, "RuntimeError:\nEGL is  lost."))
    ]
    (alert,) = alerts_of(*runs)
    assert "4 of 4 episodes of mine" in alert.text
    assert ", most often (3): RuntimeError: EGL is lost. They have" in alert.text


def test_the_order_of_the_episodes_does_not_matter(tmp_path: Path) -> None:
    runs = [
        listed_run(tmp_path / f"{n}{policy}", {policy: {"left": [ERROR]}}, 1, reason=n, seed=k)
        for k, n in enumerate("ab")
        for policy in ("one", "two")
    ]
    frame = read_frame(runs)
    alerts = find_alerts(frame)
    assert [alert.text[:20] for alert in alerts] == ["2 of 2 episodes of o", "2 of 2 episodes of t"]
    assert all(", most often (1): a. " in alert.text for alert in alerts)
    assert find_alerts(frame.iloc[::-1]) == alerts


def test_ordinary_failures_need_no_warning(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"mine": {"left": [GOOD, BAD]}}, 2)
    assert alerts_of(run) == []
    assert "WARNING" not in summary_markdown(summary_of(run))


@pytest.mark.parametrize(
    ("clipped", "warned", "noted"),
    [(0.001, "", ""), (0.0123, "", "1.2 %"), (0.1, "", "10.0 %"), (1.0, "100.0 %", "")],
)
def test_clipped_actions_are_noted_and_many_are_a_warning(
    tmp_path: Path, clipped: float, warned: str, noted: str
) -> None:
    run = listed_run(tmp_path / "run", {"mine": {"left": [GOOD]}}, 1, clipped=clipped)
    texts = [alert.text for alert in alerts_of(run)]
    assert texts == [
        f"{warned} of the actions of mine had a number clearly outside the action space and were "
        "clipped by the benchmark; check the scale of your actions."
    ] * bool(warned)
    notes = [note for note in footnote(summary_of(run)) if "clipped" in note]
    assert [note.partition(" of the actions")[0] for note in notes] == [noted] * bool(noted)


def test_errors_of_a_policy_that_the_plan_has_dropped_are_left_out(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"mine": {"left": [GOOD, ERROR]}}, 2)
    facts = json.loads((run.path / "run.json").read_text())
    assert len(read_frame([run])) == 2
    facts["plans"][0]["policies"] = ["other"]
    (run.path / "run.json").write_text(json.dumps(facts))
    dropped = Run.existing(run.path)
    assert read_frame([dropped]).empty
    assert dropped.refusals.count == 1, "a score is not left out without a word"


def test_clipped_actions_are_counted_by_action_not_by_episode(tmp_path: Path) -> None:
    ends = {"mine": {"left": [BAD]}}
    runs = [
        listed_run(tmp_path / str(k), ends, 1, clipped=clipped, steps=steps, seed=k)
        for k, (clipped, steps) in enumerate([(1.0, 20), (0.0, 80)])
    ]
    (alert,) = alerts_of(*runs)
    assert alert.text.startswith("20.0 % of the actions")


def test_fast_batches_are_counted(tmp_path: Path) -> None:
    fast = listed_run(tmp_path / "1", {"a": {"left": [GOOD] * 2}}, 2, batching="fast")
    exact = listed_run(tmp_path / "2", {"b": {"left": [GOOD]}}, 1)
    (note,) = fast_batches(read_frame([fast, exact]))
    assert note.startswith("2 of 3 episodes ran with fast batching: their actions depend on")
    assert f"- {note}" in summary_markdown(summary_of(fast, exact))
    assert list(fast_batches(read_frame([exact]))) == []


POLICIES = """
import numpy as np

class Broken:
    def __call__(self, observation):
        return np.full((1, 2), np.nan, np.float32)

class Wild:
    def __call__(self, observation):
        return np.full((1, 2), 9, np.float32)

class Typo:
    def __call__(self, observation):
        return observation["stat"]
"""


@pytest.mark.usefixtures("points")
def test_a_run_of_faulty_policies_says_so_on_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faulty.py").write_text(POLICIES)
    names = [f"python:{tmp_path}/faulty.py:{name}" for name in ("Broken", "Wild", "Typo")]
    command = ["run", "--policy", *names, "--benchmark", "points_two", "--episodes", "2"]
    assert run_eval.main([*command, "--keep-going", "--out", str(tmp_path / "run")]) == 3
    # The tables are sorted by policy.
    broken, typo, wild = capsys.readouterr().out.split("> WARNING: ")[1:]
    assert broken.startswith("4 of 4 episodes of Broken@")
    assert "failed because of the policy's own answers (policy_nan: " in broken
    assert wild.startswith("100.0 % of the actions of Wild@")
    assert typo.startswith("4 of 4 episodes of Typo@")
    assert "the policy's code raised an exception (KeyError: 'stat' (faulty.py:14))" in typo
    path = Path(typo.partition("Traceback: `")[2].partition("`")[0])
    assert "KeyError: 'stat'" in path.read_text()
    assert "simulator" not in "".join((broken, typo, wild))
