"""`--replan` and `--protocol CARD,replan=N`: another number of actions has another label."""

from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.contracts.protocol import ProtocolLabel
from harness.contracts.registry import find_benchmark
from harness.runs.folder import Run
from harness.runs.protocols import find_protocol_of

RUN = ["run", "--policy", "homing", "--benchmark", "points_two/left", "--episodes", "1"]


def label(request: str, benchmark: str = "points_two") -> str:
    return find_protocol_of(find_benchmark(benchmark), benchmark, request).label


def test_replan_is_part_of_the_label() -> None:
    card, other = label("plain"), label("plain,replan=2")
    assert ProtocolLabel.parse(card).name == "points/plain"
    assert ProtocolLabel.parse(other).name == "points/plain,replan=2"
    assert ProtocolLabel.parse(card).hash != ProtocolLabel.parse(other).hash
    assert label(",replan=2") == other
    assert label("points/plain,replan=2") == other
    assert label(other) == other
    assert label("plain,replan=4") == card


def test_replan_works_for_every_family() -> None:
    for benchmark in ("libero_object", "maniskill_rdt", "vlabench_lite", "robotwin_blocks"):
        family = find_benchmark(benchmark)
        protocol = find_protocol_of(family, benchmark, ",replan=3")
        assert protocol.replan == 3
        assert ",replan=3@" in protocol.label
        assert find_protocol_of(family, benchmark, protocol.label).label == protocol.label
        card = find_protocol_of(family, benchmark, "")
        assert type(protocol) is type(card)
        assert protocol.rules == card.rules | {"replan": 3}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("plain,replan=0", "replan must be a whole number from 1, got '0'"),
        ("plain,replan=x", "replan must be a whole number from 1, got 'x'"),
        ("plain,replan=2,replan=3", "gives replan twice"),
        ("plain,replan", "'replan' in --protocol plain,replan is not OPTION=VALUE"),
        ("plain,steps=2", "the protocols of points have no options; leave out steps"),
        ("points/plain,replan=2@0123456789", "the protocol was points/plain,replan=2@0123456789"),
        ("points/plain@x", "'plain@x' is not a protocol's label"),
    ],
)
def test_mistakes_are_named(request_: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        label(request_)
    assert message in str(error.value)


def test_run_with_replan_infers_as_often_and_replays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option, card = tmp_path / "option", tmp_path / "card"
    assert run_eval.main([*RUN, "--replan", "2", "--out", str(option)]) == 0
    shown = capsys.readouterr().out
    assert "executes 2 actions before the policy infers again, the card says 4" in shown
    assert run_eval.main([*RUN, "--protocol", "plain,replan=2", "--out", str(card)]) == 0
    (one,), (other,) = (list(Run.existing(path).log()) for path in (option, card))
    assert one.deterministic() == other.deterministic()
    assert one.chunks == -(-one.steps // 2)
    assert run_eval.main(["replay", str(option), one.spec.key]) == 0
    again = ["run", "--plan", str(option / "run.json"), "--out", str(option)]
    assert run_eval.main(again) == 0
    assert len(list(Run.existing(option).log())) == 1


def test_replan_does_not_join_the_card_in_one_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_eval.main([*RUN, "--out", str(tmp_path)]) == 0
    assert run_eval.main([*RUN, "--replan", "2", "--out", str(tmp_path)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "protocol of points_two: points/plain there, points/plain,replan=2 here" in error


def test_replan_of_a_plan_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, out = tmp_path / "plan.yaml", tmp_path / "out"
    plan.write_text("policies: homing\nbenchmarks: points_two/left\nepisodes: 1\nreplan: 3\n")
    assert run_eval.main(["run", "--plan", str(plan), "--out", str(out)]) == 0
    (record,) = Run.existing(out).log()
    assert ",replan=3@" in record.spec.protocol
    plan.write_text("policies: homing\nbenchmarks: points_two/left\nreplan: many\n")
    assert run_eval.main(["run", "--plan", str(plan), "--out", str(out)]) == 2
    assert "replan in" in capsys.readouterr().err
    assert run_eval.main(["run", "--plan", str(plan), "--replan", "2"]) == 2
    assert "leave out --replan" in capsys.readouterr().err
