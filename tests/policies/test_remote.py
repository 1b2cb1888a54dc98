"""The client of a policy server: it returns the local policy's bits, and separates the errors."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from assay_points import ACTION, STATE, Broken
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from harness.backends.inline import run_inline
from harness.contracts.errors import UsageError
from harness.contracts.policy import Query
from harness.contracts.registry import make_policy
from harness.contracts.spec import policy_stream
from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION, Layout, Part
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve
from harness.serving import connection
from harness.serving.codec import pack, unpack
from harness.serving.greeting import QUESTION_KEY
from tests.helpers.plays import inline
from tests.helpers.serving import served

ACTIONS = np.zeros((4, 2), np.float32)


def work(policy: str, episodes: int = 3, benchmark: str = "points_two") -> Work:
    return resolve(Plan((policy,), (BenchmarkRequest(benchmark),), episodes))


def remote(port: int, **options: str) -> str:
    query = "&".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
    return f"remote:ws://127.0.0.1:{port}" + (f"?{query}" if query else "")


@contextmanager
def answering(answer: Callable[[Any], Any], metadata: Any = b"\x80") -> Iterator[int]:
    """Run a foreign server: `answer` returns a frame, or an object to pack into one."""

    def talk(socket: ServerConnection) -> None:
        socket.send(metadata if isinstance(metadata, str | bytes) else pack(metadata))
        for message in socket:
            frame = answer(unpack(message))  # type: ignore[arg-type]
            socket.send(frame if isinstance(frame, str | bytes) else pack(frame))

    with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def process(port: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serve from another process, with the user's command."""
    command = [sys.executable, "run_eval.py", "serve", "--policy", "homing", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            yield started, int(started.stdout.readline().rpartition(":")[2])
        finally:
            started.kill()


@pytest.mark.parametrize(
    ("policy", "benchmark"), [("homing", "points_two"), ("still", "points_filmed")]
)
def test_served_policy_gives_the_records_of_the_local_policy(policy: str, benchmark: str) -> None:
    plan = work(policy, 2, benchmark)
    local = [e.record for e in run_inline(plan, plan.specs, print)]
    with served(policy) as port:
        plan = work(remote(port), 2, benchmark)
        remote_records = [e.record for e in run_inline(plan, plan.specs, print)]
    assert [r.deterministic() for r in remote_records] == [r.deterministic() for r in local]
    assert [r.evaluations for r in remote_records] == [r.evaluations for r in local]


def test_restarted_server_gives_the_same_records() -> None:
    with process(0) as (first, port):
        plan = work(remote(port, patience="120"))
        episodes = run_inline(plan, plan.specs, print)
        records = [next(episodes).record]
        first.send_signal(signal.SIGKILL)
        first.wait()
        with process(port) as (second, _):
            records += [episode.record for episode in episodes]
            second.send_signal(signal.SIGINT)
            assert second.wait(60) == 130
    assert [record.deterministic() for record in records] == inline(work("homing"))
    assert [record.retries for record in records] == [0] * 6


@pytest.mark.slow
def test_lost_server_makes_every_episode_an_error_and_is_awaited_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    # Replaces `time` in the client only: the server of this test needs the real one.
    clock = SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)
    monkeypatch.setattr(connection, "time", clock)
    with served("homing") as port:
        plan = work(remote(port, patience="4.9"))
        episodes = run_inline(plan, plan.specs, print)
        assert next(episodes).record.outcome != "error"
    failed = next(episodes).record
    assert (failed.outcome, failed.success, failed.retries) == ("error", None, 2)
    assert f"the policy server at ws://127.0.0.1:{port} is lost" in failed.reason
    assert {episode.record.outcome for episode in episodes} == {"error"}
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2]


def test_another_policy_at_the_same_address_stops_the_run() -> None:
    with served("homing") as port:
        policy = make_policy(remote(port))
    with served("still", port=port), pytest.raises(UsageError, match="serves another policy"):
        ask(policy)


def ask(policy: Any) -> Any:
    """Return a remote policy's chunk for one observation of a point task."""
    spec = work("homing").specs[0]
    state = np.array([0.5, 0.5], np.float32)
    observation = {"image": {}, "state": state, "instruction": "reach left"}
    return policy.infer([Query(observation, policy_stream(spec, 0))])[0]


def openpi(port: int, **options: str) -> str:
    """Return the reference to an openpi server, which sends no spec, for the point tasks."""
    return remote(port, **({"layout": "environment", "cameras": ""} | options))


def test_openpi_server_gets_only_the_keys_of_openpi() -> None:
    requests: list[Any] = []

    def answer(request: Any) -> Any:
        requests.append(request)
        return {"actions": np.ones((3, 2)), "state": np.zeros(2), "policy_timing": {"infer_ms": 1}}

    with answering(answer, {"reset_pose": [0, 0]}) as port:
        plan = work(openpi(port, name="pi05"), 1)
        records = [e.record for e in run_inline(plan, plan.specs, print)]
    assert {record.outcome for record in records} <= {"failure", "success"}
    assert records[0].spec.policy.startswith("pi05@")
    assert records[0].evaluations == records[0].chunks
    keys = frozenset({"observation/state", "prompt"})
    assert {frozenset(request) for request in requests} == {keys}


def test_identity_contains_the_options_and_without_a_name_the_address() -> None:
    def name(port: int, **options: str) -> str:
        return make_policy(openpi(port, **options)).spec.name

    with answering(dict, {}) as one, answering(dict, {}) as two, answering(dict, {"a": 1}) as other:
        assert name(one) != name(two)
        assert name(one, name="pi0") == name(two, name="pi0")
        assert name(one, name="pi0") == name(one, name="pi0", timeout="5")
        assert name(one, name="pi0") != name(one, name="pi0", prompt="task")
        assert name(one, name="pi0") != name(other, name="pi0")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\xc1", "policy_reply: not a message of openpi's protocol"),
        (pack([1]), "policy_reply: no actions in the server's reply, but list"),
        (pack({"action": 1}), "policy_reply: no actions in the server's reply, but ['action']"),
        (pack({"actions": [[0.0, 0.0]]}), "policy_type: expected an array, got list"),
        (pack({"actions": ACTIONS[0]}), "policy_shape: expected (length, 2), got (2,)"),
        (pack({"actions": ACTIONS[:0]}), "policy_shape: expected (length, 2), got (0, 2)"),
        (pack({"actions": ACTIONS.astype(int)}), "policy_dtype: expected float32, got int64"),
        (pack({"actions": ACTIONS + np.nan}), "policy_nan: the actions are not finite"),
    ],
)
def test_malformed_reply_is_a_mistake_at_first_and_a_failure_later(
    answer: bytes, reason: str
) -> None:
    with answering(lambda _: answer) as port:
        plan = work(openpi(port), 1)
        if "nan" not in reason:
            with pytest.raises(UsageError, match=re.escape(reason.partition(": ")[2])):
                list(run_inline(plan, plan.specs, print))
    good = [{"actions": np.zeros((4, 2), np.float32)}, answer] * 2
    with answering(lambda _: good.pop(0)) as port:
        plan = work(openpi(port), 1)
        records = [e.record for e in run_inline(plan, plan.specs, print)]
    found = [(r.outcome, r.steps, r.reason[: len(reason)]) for r in records]
    assert found == [("failure", 4, reason)] * 2
    assert not good


def test_invalid_chunk_of_a_served_policy_has_the_local_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Broken, "answer", np.full((3, 2), np.nan))
    with served("broken") as port:
        plan = work(remote(port), 1)
        records = [e.record.deterministic() for e in run_inline(plan, plan.specs, print)]
    assert records == inline(work("broken", 1))


@pytest.mark.parametrize("answer", [ACTIONS[0], ACTIONS.astype(int), [[0.0, 0.0]]])
def test_wrong_form_of_a_served_answer_has_the_local_message(
    monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(Broken, "answer", answer)
    messages = []
    with served("broken") as port:
        for reference in (remote(port), "broken"):
            plan = work(reference, 1)
            with pytest.raises(UsageError, match="first answer of broken is wrong") as refused:
                list(run_inline(plan, plan.specs, print))
            messages.append(str(refused.value))
    assert messages[0] == messages[1]


def test_a_served_policy_keeps_the_memory_of_each_episode() -> None:
    expected = inline(work("remembering", 4))
    with served("remembering") as port:
        plan = work(remote(port), 4)
        here = [e.record.deterministic() for e in run_inline(plan, plan.specs, print)]
    assert here == expected
    assert {record["outcome"] for record in here} == {"success"}


def test_exception_in_the_server_is_an_error_without_a_score() -> None:
    with served("fussy") as port:
        plan = work(remote(port), 1)
        left, right = [e.record for e in run_inline(plan, plan.specs, print)]
    assert (left.outcome, left.retries) == ("error", 0)
    assert left.reason.startswith(
        "policy_crash: the policy server reports: ValueError: not this one"
    )
    assert right.outcome != "error"


def test_timeout_of_a_slow_server_names_the_option() -> None:
    finished = threading.Event()
    with answering(lambda _: finished.wait(5) and None) as port:
        policy = make_policy(openpi(port, timeout="0.2"))
        with pytest.raises(connection.ServerError, match=r"within 0.2 s; raise timeout=SECONDS"):
            ask(policy)
        finished.set()


def test_an_answer_that_nobody_asked_for_is_never_taken() -> None:
    """Openpi's protocol has no numbers: the frame that came too much ends the connection."""
    with doubling({}) as port:
        policy = make_policy(openpi(port, timeout="5"))
        assert ask(policy)[0, 0] == 1
        time.sleep(0.3)  # The second frame arrives.
        with pytest.raises(connection.ServerError, match="sent an answer that nobody asked for"):
            ask(policy)
        assert ask(policy)[0, 0] == 1  # On a new connection.


@pytest.mark.parametrize("number", [None, 0, 2, "1"])
def test_an_answer_of_our_server_has_the_number_of_its_request(number: Any) -> None:
    answer = {"actions": ACTIONS} | ({} if number is None else {QUESTION_KEY: number})
    with served("homing") as port:
        metadata = make_policy(remote(port))._connections[0].metadata  # type: ignore[attr-defined]
    with answering(lambda _: answer, metadata) as port:
        policy = make_policy(remote(port))
        with pytest.raises(connection.ServerError, match="did not answer the request"):
            ask(policy)


@contextmanager
def doubling(metadata: Any) -> Iterator[int]:
    """Run a server that answers every request twice; the answers are numbered."""

    def talk(socket: ServerConnection) -> None:
        socket.send(pack(metadata))
        for count, _ in enumerate(socket, start=1):
            for frame in range(2):
                with suppress(ConnectionClosed):
                    socket.send(pack({"actions": np.full((3, 2), 10 * frame + count, np.float32)}))

    with serve(talk, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_hostile_answer_gives_a_short_reason() -> None:
    """Whole megabytes of a frame would otherwise stand in every record."""
    flood = {"k" * 5000 + str(number): number for number in range(3000)}
    text = "\n" * 10**6 + "x\x07" * 10**5
    for answer in (bytes(10**6), pack(flood), pack({"\x1b[31m": 1}), text):
        good = [{"actions": np.zeros((4, 2), np.float32)}, answer] * 2
        with answering(lambda _, good=good: good.pop(0)) as port:  # type: ignore[misc]
            plan = work(openpi(port), 1)
            records = [e.record for e in run_inline(plan, plan.specs, print)]
        assert all(record.outcome in ("failure", "error") for record in records)
        assert all(len(record.reason) < 500 for record in records)
        assert all("\x1b" not in r.reason and "\x07" not in r.reason for r in records)


def test_actions_of_another_size_than_the_layout_stop_the_run() -> None:
    with answering(lambda _: {"actions": np.zeros((5, 32), np.float32)}) as port:
        policy = make_policy(remote(port))
        assert policy.spec.state_layout == EEF_AXIS_ANGLE_STATE
        assert policy.spec.action_layout == EEF_DELTA_ACTION
        with pytest.raises(UsageError, match="have 32 numbers, but its layout has 7"):
            ask(policy)


def test_policy_with_another_layout_is_refused_before_a_simulator_is_built() -> None:
    other = Layout((Part("position", 2, "m"),))
    spec = {"policy": "p", "cameras": [], "image_size": None, "chunk_length": None}
    layouts = {"state_layout": [["position", 2, "m"]], "action_layout": [["torque", 2, "Nm"]]}
    keys = {"images": {}, "state": [{"key": "s", "size": None}], "prompt": "p"}
    with answering(dict, {"assay": spec | layouts | {"keys": keys}}) as port:
        assert make_policy(remote(port)).spec.state_layout == other == STATE
        with pytest.raises(UsageError, match=r"disagree about the action.*torque") as refused:
            work(remote(port), 1)
    assert str(ACTION) in str(refused.value)


@pytest.mark.parametrize(
    "metadata",
    [
        "text",
        b"\xc1",
        [1],
        {"assay": 1},
        {"assay": {"policy": "../../etc"}},
        {"assay": {"policy": "<b>"}},
        {"assay": {"policy": "p", "image_size": None, "chunk_length": None, "cameras": 3}},
    ],
)
def test_server_with_malformed_metadata_is_refused(metadata: Any) -> None:
    message = r"does not speak|is not a policy server"
    with answering(dict, metadata) as port, pytest.raises(UsageError, match=message):
        make_policy(remote(port))


def test_client_sends_the_api_key_and_reports_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    with served("homing", api_key="secret") as port:
        assert ask(make_policy(remote(port, api_key_file=str(tmp_path / "key")))).shape == (6, 2)
        with pytest.raises(UsageError, match="needs another API key; give api-key-file=FILE"):
            make_policy(remote(port))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("remote", "needs ws://HOST:PORT"),
        ("remote:127.0.0.1:8000", "is not ws://HOST:PORT"),
        ("remote:ws://127.0.0.1:1", "no policy server answers at ws://127.0.0.1:1"),
        ("remote:ws://127.0.0.1:1?tiemout=3", "unknown option of remote 'tiemout'; did you mean"),
        (
            "remote:ws://127.0.0.1:1?timeout=soon",
            "timeout=soon must be a positive number of seconds",
        ),
        ("remote:ws://127.0.0.1:1?timeout=1&timeout=2", "given twice"),
        ("remote:ws://127.0.0.1:1?timeout", "is not OPTION=VALUE"),
    ],
)
def test_error_for_a_wrong_reference_names_the_fix(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        make_policy(source)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "droid"}, "unknown layout of remote 'droid'"),
        ({"name": "a b"}, "name=a b may only have letters"),
        ({"state": "a,b:1"}, "write KEY:SIZE for each"),
    ],
)
def test_wrong_option_is_refused_and_assays_server_takes_none(
    options: dict[str, str], message: str
) -> None:
    with answering(dict) as port, pytest.raises(UsageError, match=message):
        make_policy(remote(port, **options))
    message = "sends the spec of homing itself"
    with served("homing") as port, pytest.raises(UsageError, match=message):
        make_policy(remote(port, **options))
